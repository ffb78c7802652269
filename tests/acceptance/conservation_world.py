"""What the conservation run puts around the service: a Tutum that sends at a steady rate, and a moody destination.

Both live in one thread of their own and are as light as they can be: at 2,000 events a second the scripted servers of
the other tests would be what is measured.
"""

import asyncio
import random
import socket
import threading
import time
from collections import Counter
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Final, NamedTuple

import httptools
import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

STEP: Final = 0.005
"""Seconds between two handfuls of events."""

MOOD: Final = 0.25
"""Seconds that a limit, or an outage, lasts."""

IN_HAND: Final = 64 * 1024
"""Bytes that the system may hold for the service before it is sent no more."""

TROUBLES: Final = ("limited", "failing", "hang", "cut", "refused")


class Arrival(NamedTuple):
    """A request that the destination took, and answered with 204.

    Attributes:
        life: of the service, counted from 0 at its first start.
        id: the `webhook-id`.
        number, uri: the event, as it came.
    """

    life: int
    id: str
    number: int
    uri: str


def uri_of(number: int, seed: int, resources: int) -> str:
    """The resource that an event is about: by chance, but always the same."""
    return f"/api/v1/container/{random.Random(seed * 1_000_003 + number).randrange(resources)}/"


class World:
    """Tutum and destination, to be used in a `with`; other threads may read the attributes at any time.

    Args:
        events: how many to send, at most.
        rate: events a second while somebody listens.
        resources: how many the events are about.
        calm: mean seconds between two troubles of the destination.
        seed: decides what is chance.
        weight: bytes more of each event, in a field that nobody knows.

    Attributes:
        uris: of the events sent so far; an event's number is its index, and hidden in its `state`.
        connected_at: how many had been sent when this life's client came; more than there are while none came.
        arrivals: what was taken, in order.
        refused: numbers that were answered with 400 at least once.
        troubles: how often each was had.
        life: of the service, counted from 0.
    """

    def __init__(self, events: int, rate: float, resources: int, calm: float, seed: int, weight: int = 0) -> None:
        self.uris: list[str] = []
        self.connected_at = events
        self.arrivals: list[Arrival] = []
        self.refused: set[int] = set()
        self.troubles: Counter[str] = Counter()
        self.life = 0
        self._all = [uri_of(number, seed, resources) for number in range(events)]
        self._rate = rate
        self._calm = calm
        self._ballast = "." * weight
        self._dice = random.Random(seed)
        self._next_trouble = time.monotonic() + calm
        self._deck: list[str] = []
        self._last_seen = (-1, time.monotonic())
        self._moody_until = {"limited": 0.0, "failing": 0.0}
        self._client: ServerConnection | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._live(),), daemon=True)
        self._ports: Future[tuple[int, int]] = Future()
        self._end = asyncio.Event()
        self._enough = threading.Event()

    def __enter__(self) -> "World":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    def environment(self) -> dict[str, str]:
        """The variables that make a service listen and tell here."""
        stream, destination = self._ports.result(10)
        return {
            "TUTUM_USERNAME": "alice",
            "TUTUM_TOKEN": "k3y",
            "TUTUM_STREAM_URL": f"ws://127.0.0.1:{stream}/v1/",
            "TUTUM_BASE_URL": f"http://127.0.0.1:{stream}/api/v1/",
            "WEBHOOK_URL": f"http://127.0.0.1:{destination}/webhook",
            "WEBHOOK_RATE": "none",
        }

    def stands_still(self) -> bool:
        """Whether the client took nothing for a second, though there is more. Call it again and again."""
        sent, since = self._last_seen
        if len(self.uris) != sent or not self._left():
            self._last_seen = len(self.uris), time.monotonic()
        return self._left() > 0 and time.monotonic() - since > 1.0

    def send_no_more(self) -> None:
        """Leave it at what was sent so far, and the one that is being sent."""
        self._enough.set()

    def begin_life(self) -> None:
        """The service that was there is dead, and the next one is about to be started."""
        self.life += 1
        self.connected_at = len(self._all)

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        destination = await loop.create_server(lambda: _Receiver(self), "127.0.0.1", 0)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, IN_HAND)
        async with serve(self._welcome, sock=listener, compression=None) as stream:
            sending = asyncio.create_task(self._send())
            self._ports.set_result((stream.sockets[0].getsockname()[1], destination.sockets[0].getsockname()[1]))
            await self._end.wait()
            sending.cancel()
        destination.close()

    async def _welcome(self, client: ServerConnection) -> None:
        await client.send('{"type": "auth"}')
        self.connected_at = len(self.uris)
        self._client = client
        await client.wait_closed()
        if self._client is client:
            self._client = None

    def _left(self) -> int:
        """How many are still to be sent."""
        return 0 if self._enough.is_set() else len(self._all) - len(self.uris)

    async def _send(self) -> None:
        due = 0.0
        before = time.monotonic()
        while self._left():
            await asyncio.sleep(STEP)
            now = time.monotonic()
            if self._client is not None:
                due += (now - before) * self._rate
                # After a moment in which nobody could take any, no more than a handful is made up for.
                due = min(due, self._rate / 10)
                await self._send_to(self._client, int(due))
                due -= int(due)
            before = now

    async def _send_to(self, client: ServerConnection, count: int) -> None:
        for _ in range(count):
            if not self._left():
                return
            number = len(self.uris)
            self.uris.append(self._all[number])
            try:
                await client.send(
                    f'{{"type": "container", "action": "update", "state": "{number}", '
                    f'"resource_uri": "{self._all[number]}", "parents": [], "note": "{self._ballast}"}}'
                )
            except ConnectionClosed:
                self._client = None
                return

    def mood(self) -> str:
        """How the next request is to be treated; "" for well."""
        now = time.monotonic()
        for mood, until in self._moody_until.items():
            if now < until:
                return mood
        if now < self._next_trouble:
            return ""
        self._next_trouble = now + self._dice.expovariate(1 / self._calm)
        if not self._deck:
            self._deck = self._dice.sample(TROUBLES, len(TROUBLES))
        trouble = self._deck.pop()
        self.troubles[trouble] += 1
        if trouble in self._moody_until:
            self._moody_until[trouble] = now + MOOD
        return trouble


class _Receiver(asyncio.Protocol):
    """One connection of the destination."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._parser = httptools.HttpRequestParser(self)
        self._id = ""
        self._body = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"webhook-id":
            self._id = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        event = msgspec.json.decode(self._body)["data"]
        self._body = b""
        mood = self._world.mood()
        if mood == "":
            number = int(event["state"])
            self._world.arrivals.append(Arrival(self._world.life, self._id, number, event["resource_uri"]))
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif mood == "limited":
            self._answer(b"429 Too Many Requests\r\nRetry-After: 1")
        elif mood == "failing":
            self._answer(b"500 Internal Server Error")
        elif mood == "refused":
            self._world.refused.add(int(event["state"]))
            self._answer(b"400 Bad Request")
        elif mood == "cut":
            self._transport.abort()
        # A request that hangs is never answered; the connection is left to the service.

    def _answer(self, start: bytes) -> None:
        self._transport.write(b"HTTP/1.1 " + start + b"\r\nContent-Length: 2\r\n\r\nno")
