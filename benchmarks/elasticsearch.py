"""How many documents we index: `python benchmarks/elasticsearch.py [--documents N] [--rounds N] [--at-once N]`.

The Elasticsearch notifier by itself, over the connections that the service uses for it, tells full batches of messages
about containers to a sink in a process of its own. The sink is no Elasticsearch: it stores nothing and answers as fast
as Python can that every document was created. So this is the most that our side can do; with `--resource`, each message
brings a looked-up container of some 3 KB. What is before the notifier (stream, journal, lane) costs as much as for
every destination: see `service.py`. The best of the rounds counts; CPU time is our process's alone.

`--profile FILE` runs it once under cProfile: look at it with `python -m pstats FILE`.
"""

import argparse
import asyncio
import cProfile
import resource
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from parts import Part, obey
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

from tutumstream.event import Event
from tutumstream.net.agent import endpoints
from tutumstream.net.fast_client import FastClient
from tutumstream.net.pool import Pool
from tutumstream.net.proxy import Proxies
from tutumstream.notifiers.elasticsearch import ElasticsearchNotifier
from tutumstream.notifiers.elasticsearch_index import IndexName
from tutumstream.notifiers.interface import Delivered, Message

CREATED = b'{"create":{"status":201}}'


class Sink(asyncio.Protocol):
    """Takes `_bulk` and the index template."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end])
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(self._buffer) < end + 4 + length:
                return
            documents = self._buffer.count(b"\n", end + 4, end + 4 + length) // 2
            del self._buffer[: end + 4 + length]
            body = b"{}"
            if b"/_bulk" in head:
                body = b'{"errors":false,"items":[%s]}' % b",".join([CREATED] * documents)
            answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            self._transport.write(answer + body)


async def serve() -> None:
    """Until standard input ends."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0, backlog=1024)
    await obey(server.sockets[0].getsockname()[1], {})


def messages(number: int, looked_up: bool) -> list[Message]:
    """So many, as the lane hands them over."""
    found: dict[str, Any] = {
        "name": "web-1",
        "container_envvars": [{"key": f"NAME_{n}", "value": "x" * 40} for n in range(20)],
        "container_ports": [{"protocol": "tcp", "inner_port": 80, "outer_port": None, "published": False}] * 10,
    }
    told = []
    for n in range(number):
        uri = f"/api/v1/container/{UUID(int=n)}/"
        event = Event(
            id=f"01JZ{n:022}",
            received_at=1_700_000_000.0 + n / 1000,
            type="container",
            action="update",
            state="Running",
            resource_uri=uri,
            parents=tuple(f"/api/v1/{kind}/{UUID(int=n)}/" for kind in ("service", "node", "stack", "nodecluster")),
        )
        told.append(
            Message(f"{event.id}-1", event, "", "everything", resources={"resource": found} if looked_up else {})
        )
    return told


async def told(reactor: Any, url: str, given: argparse.Namespace) -> tuple[float, float]:
    """Documents a second, and microseconds of CPU time a document."""
    pool = Pool(reactor, endpoints(reactor, Proxies({}), None))
    notifier = ElasticsearchNotifier(FastClient(pool, reactor), url, IndexName("tutum-events"), time.time)
    batches = iter([messages(notifier.batch, given.resource) for _ in range(given.documents // notifier.batch)])
    await notifier.notify(next(batches))

    async def tell() -> int:
        number = 0
        for batch in batches:
            verdicts = await notifier.notify(batch)
            number += sum(isinstance(verdict, Delivered) for verdict in verdicts)
        return number

    begun, before = time.monotonic(), _cpu()
    numbers = await gatherResults([Deferred.fromCoroutine(tell()) for _ in range(given.at_once)])
    took, used = time.monotonic() - begun, _cpu() - before
    number = sum(numbers)
    if number != given.documents // notifier.batch * notifier.batch - notifier.batch:
        raise SystemExit(f"only {number} documents were delivered")
    return number / took, used / number * 1e6


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def measure(reactor: Any, given: argparse.Namespace) -> None:
    """Print what was found."""
    sink = Part(Path(__file__).name, "--sink")
    url = f"http://127.0.0.1:{sink.port}"
    try:
        if given.profile:
            profile = cProfile.Profile()
            profile.enable()
            await told(reactor, url, given)
            profile.disable()
            profile.dump_stats(given.profile)
            return
        rounds = [await told(reactor, url, given) for _ in range(given.rounds)]
        for rate, used in rounds:
            print(f"  {rate:,.0f} documents/s, {used:.1f} µs")
        print(f"best: {max(rounds)[0]:,.0f} documents/s, {min(used for _, used in rounds):.1f} µs CPU a document")
    finally:
        sink.end()


def main() -> None:
    """See above."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--documents", type=int, default=50_000)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--at-once", type=int, default=4, help="batches under way, as in the service")
    asked.add_argument("--resource", action="store_true")
    asked.add_argument("--profile", metavar="FILE")
    asked.add_argument("--sink", action="store_true", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.sink:
        asyncio.run(serve())
    else:
        react(lambda reactor: Deferred.fromCoroutine(measure(reactor, given)))


if __name__ == "__main__":
    main()
