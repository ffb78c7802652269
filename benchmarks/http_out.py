"""How fast we post: `python benchmarks/http_out.py [--requests N] [--rounds N] [--in-flight N]`.

The same POST (a webhook's, 300 bytes of JSON, three headers) again and again on kept connections, to a small sink in a
process of its own that answers 204 with the headers that servers use to send. Ways to send it, in turns, each in a
process of its own: `FastClient`, `FastAgent` by itself, Twisted's Agent by itself, and `HttpClient` with treq. The
best of all rounds counts, as whatever else runs on the machine only slows things down; CPU time is our process's alone.
The ratios are to Twisted's Agent. That of CPU time is the steadier one: requests a second end where the sink does, or
where others want the machine.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import httptools
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.web.client import readBody
from twisted.web.http_headers import Headers

from tutumstream.net.agent import USER_AGENT, agent, endpoints, pool
from tutumstream.net.fast_agent import FastAgent
from tutumstream.net.fast_client import FastClient
from tutumstream.net.http import HttpClient, Whole
from tutumstream.net.pool import Pool
from tutumstream.net.proxy import Proxies

ANSWER = (
    b"HTTP/1.1 204 No Content\r\nServer: sink\r\nDate: Mon, 23 Nov 2026 12:00:00 GMT\r\nConnection: keep-alive\r\n\r\n"
)
BODY = json.dumps({"type": "tutum.container.update", "data": {"state": "Running", "padding": "x" * 230}}).encode()
HEADERS = {
    "Content-Type": "application/json",
    "webhook-id": "01JZ0000000000000000000000-webhook",
    "webhook-timestamp": "1700000000",
}

PEER = "Twisted's Agent"

Send = Callable[[], Deferred[Any]]


class Sink(asyncio.Protocol):
    """Answers every request when it is whole."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._parser: Any = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(ANSWER)


async def sink() -> None:
    """Serve until killed; the port is the first line of the output."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def ways(reactor: Any, url: str, in_flight: int) -> dict[str, Callable[[], Send]]:
    """By name, what makes the function that sends once and fires with the whole answer."""
    proxies = Proxies({})
    sent = Headers({name: [value] for name, value in {"User-Agent": USER_AGENT, **HEADERS}.items()})

    def ours() -> Pool:
        return Pool(reactor, endpoints(reactor, proxies, None), size=in_flight)

    def theirs() -> Any:
        kept = pool(reactor)
        kept.maxPersistentPerHost = in_flight
        return agent(reactor, proxies, None, kept)

    def asking(speaks: Any) -> Send:
        return lambda: speaks.request(b"POST", url.encode(), sent, Whole(BODY)).addCallback(readBody)

    def exchanging(http: Any) -> Send:
        return lambda: http.exchange("POST", url, HEADERS, BODY)

    return {
        "FastClient": lambda: exchanging(FastClient(ours(), reactor)),
        "FastAgent": lambda: asking(FastAgent(ours())),
        PEER: lambda: asking(theirs()),
        "HttpClient (treq)": lambda: exchanging(HttpClient(theirs(), reactor)),
    }


async def storm(send: Send, requests: int, in_flight: int) -> None:
    """Always that many at once; each next one when one is answered, as a lane does it."""
    left = requests
    over: Deferred[None] = Deferred()
    running = 0

    def more(_answer: object = None) -> None:
        nonlocal left, running
        if left:
            left -= 1
            send().addCallbacks(more, over.errback)
        else:
            running -= 1
            if not running:
                over.callback(None)

    running = in_flight
    for _ in range(in_flight):
        more()
    await over


async def run(reactor: Any, name: str, url: str, requests: int, in_flight: int) -> None:
    """Print requests a second, and microseconds of CPU a request."""
    send = ways(reactor, url, in_flight)[name]()
    await storm(send, max(in_flight, requests // 10), in_flight)
    wall, cpu = time.perf_counter(), time.process_time()
    await storm(send, requests, in_flight)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps([requests / wall, cpu / requests * 1e6]))


def measured(name: str, url: str, requests: int, in_flight: int) -> list[float]:
    """The same, in a process of its own."""
    command = [sys.executable, __file__, "--way", name, "--url", url]
    command += ["--requests", str(requests), "--in-flight", str(in_flight)]
    found: list[float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def compare(requests: int, rounds: int, in_flight: int) -> None:
    """Print the table."""
    shares = {"FastClient": 1.0, "FastAgent": 0.5, PEER: 0.2, "HttpClient (treq)": 0.1}
    best = dict.fromkeys(shares, (0.0, float("inf")))
    with subprocess.Popen([sys.executable, __file__, "--sink"], stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        url = f"http://127.0.0.1:{serving.stdout.readline().strip()}/hooks/tutum?source=benchmark"
        try:
            for _ in range(rounds):
                for name, share in shares.items():
                    rate, cpu = measured(name, url, int(requests * share), in_flight)
                    best[name] = max(best[name][0], rate), min(best[name][1], cpu)
        finally:
            serving.kill()
    print(f"Python {sys.version.split()[0]}; {in_flight} in flight on as many connections; best of {rounds} rounds")
    print(f"{'':18}  requests/s   ratio   µs CPU a request   ratio")
    for name, (rate, cpu) in best.items():
        print(f"{name:18}  {rate:10,.0f}  {rate / best[PEER][0]:6.2f}   {cpu:16.1f}  {best[PEER][1] / cpu:6.2f}")


def main() -> None:
    """Compare; or be one of the processes that this takes."""
    asked = argparse.ArgumentParser(description="How fast we post.")
    asked.add_argument("--requests", type=int, default=50_000)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--in-flight", type=int, default=50)
    asked.add_argument("--sink", action="store_true", help=argparse.SUPPRESS)
    asked.add_argument("--way", help=argparse.SUPPRESS)
    asked.add_argument("--url", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.sink:
        asyncio.run(sink())
    elif given.way:
        react(
            lambda reactor: Deferred.fromCoroutine(run(reactor, given.way, given.url, given.requests, given.in_flight))
        )
    else:
        compare(given.requests, given.rounds, given.in_flight)


if __name__ == "__main__":
    main()
