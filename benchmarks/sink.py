"""Takes every POST, answers 200, and notes when each event came first and how many came again.

A part of `service.py`. It also takes `_bulk` requests, stores nothing, and says that every document was created.
"""

import asyncio
import time
from contextlib import suppress

from parts import obey

URI = b"/api/v1/container/"

ANSWER = b"HTTP/1.1 200 OK\r\nServer: sink\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"

CREATED = b'{"create":{"status":201}}'

JSON = b"HTTP/1.1 200 OK\r\nServer: sink\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


class Sink:
    """What came."""

    def __init__(self) -> None:
        self._first: dict[int, float] = {}
        self._again = 0
        self._awaited = 0
        self._enough = asyncio.Event()

    def came(self, body: bytes) -> None:
        """Note it, if it tells of an event of ours."""
        _, found, rest = body.partition(URI)
        if found:
            number = int(rest[:36].replace(b"-", b""), 16)
            if number in self._first:
                self._again += 1
            else:
                self._first[number] = time.monotonic()
                if len(self._first) == self._awaited:
                    self._enough.set()

    async def wait(self, events: float, seconds: float) -> dict[str, float]:
        """Until so many came, or the time is up."""
        self._awaited = int(events)
        self._enough.clear()
        if len(self._first) < events:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), seconds)
        return {"came": len(self._first), "last": max(self._first.values(), default=0.0)}

    async def again(self) -> int:
        """How many came that had come before, half a second from now."""
        await asyncio.sleep(0.5)
        return self._again

    async def times(self) -> list[tuple[int, float]]:
        """Of each number."""
        return list(self._first.items())


class Connection(asyncio.Protocol):
    """Requests one after the other; each has a Content-Length."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            self._transport.write(self._taken(head, rest[:length]))

    def _taken(self, head: bytes, body: bytes) -> bytes:
        method, path, _ = head.split(b" ", 2)
        if b"/_bulk" in path:
            documents = body.split(b"\n")[1::2]
            for document in documents:
                self._sink.came(document)
            answer = b'{"errors":false,"items":[%b]}' % b",".join([CREATED] * len(documents))
            return JSON % (len(answer), answer)
        if method == b"POST":
            self._sink.came(body)
            return ANSWER
        return JSON % (2, b"{}")


async def main() -> None:
    """Serve until standard input ends."""
    sink = Sink()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(sink), "127.0.0.1", 0, backlog=1024)
    await obey(server.sockets[0].getsockname()[1], {"wait": sink.wait, "again": sink.again, "times": sink.times})


if __name__ == "__main__":
    asyncio.run(main())
