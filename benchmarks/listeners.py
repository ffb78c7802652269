"""Clients of a Stream API, many or one. `open PORT COUNT` connects them; `report` gives what the first one got. After
`doze` they read only twenty times a second, all at once: what they cost is then not the measured one's."""

import asyncio
import base64
import json
import time

from parts import obey

CREDENTIALS = "benchmark", "benchmark-key"

_PING, _CLOSE = 9, 8

_NAP = 0.05
"""Seconds."""


class Listener(asyncio.Protocol):
    """A client that answers pings. It keeps each message with the time of its arrival, or nothing at all."""

    def __init__(self, keep: bool) -> None:
        self.opened = asyncio.get_running_loop().create_future()
        self.messages: list[tuple[float, bytes]] = []
        self.lost = False
        self._keep = keep
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        login = base64.b64encode(":".join(CREDENTIALS).encode()).decode()
        transport.write(  # type: ignore[attr-defined]  # TCP's can
            "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Authorization: Basic {login}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        at = time.time()
        data = self._rest + data
        if not self.opened.done():
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            assert b" 101 " in head, head
            self.opened.set_result(None)
        self._rest = data[self._frames(data, at) :]

    def connection_lost(self, problem: Exception | None) -> None:  # noqa: ARG002 - the protocol's
        self.lost = True

    def _frames(self, data: bytes, at: float) -> int:
        """Take whole frames; where the rest begins."""
        start = 0
        while start + 2 <= len(data):
            size, head = data[start + 1] & 127, 2
            if size > 125:
                head = 4 if size == 126 else 10
                size = int.from_bytes(data[start + 2 : start + head], "big")
            end = start + head + size
            if end > len(data) or start + head > len(data):
                break
            kind, payload = data[start] & 15, data[start + head : end]
            if kind == _PING:
                # Masked with nothing, as a client's frames must be masked.
                self._transport.write(bytes([0x8A, 0x80 | size, 0, 0, 0, 0]) + payload)  # type: ignore[attr-defined]
            elif kind == _CLOSE:
                self.lost = True
            elif self._keep:
                self.messages.append((at, payload))
            start = end
        return start


async def _doze() -> None:
    while True:
        # The whole loop is to stand still, so that one look at all sockets finds what came to any of them.
        time.sleep(_NAP)  # noqa: ASYNC251
        await asyncio.sleep(0)


async def main() -> None:
    listeners: list[Listener] = []
    tasks: list[asyncio.Task[None]] = []

    async def connect(port: float, count: float) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(int(count)):
            _, listener = await loop.create_connection(lambda: Listener(not listeners), "127.0.0.1", int(port))
            listeners.append(listener)
            await listener.opened

    async def doze() -> None:
        tasks.append(asyncio.create_task(_doze()))

    async def report() -> object:
        told = [(at, json.loads(message)) for at, message in listeners[0].messages]
        return {"lost": sum(one.lost for one in listeners), "told": told}

    await obey(0, {"open": connect, "doze": doze, "report": report})


if __name__ == "__main__":
    asyncio.run(main())
