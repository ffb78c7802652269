"""A stream of events that is faster than whoever reads it: every frame is made before the first is sent.

A part of `service.py`. It serves one connection at `/v1/events`; each event's resource has its number for a uuid.
"""

import asyncio
import json
import time
from contextlib import suppress
from uuid import UUID

from parts import obey
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

PIECE = 1 << 16
"""Bytes that are written at once in a storm."""

OTHERS = [
    "/api/v1/node/7eaf7fff-882c-4f3d-9a8f-a22317ac00ce/",
    "/api/v1/stack/09cbcf8d-a727-40d9-b420-c8e18b7fa55b/",
    "/api/v1/nodecluster/26e7d9a1-6c1e-4b4f-9a0a-0f8f4b8d0f0c/",
]


def framed(number: int, kind: str = "container") -> bytes:
    """One event as Tutum sends it, in a frame."""
    uuid = UUID(int=number)
    event = {
        "type": kind,
        "action": "update",
        "state": "Running",
        "resource_uri": f"/api/v1/{kind}/{uuid}/",
        "parents": [f"/api/v1/service/{uuid}/", *OTHERS],
    }
    return Frame(Opcode.TEXT, json.dumps(event).encode()).serialize(mask=False)


class Source:
    """What it is told to do."""

    def __init__(self) -> None:
        self._connected = asyncio.Event()
        self._writer: asyncio.StreamWriter

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Accept, greet, and answer pings, until the reader is gone."""
        with suppress(ConnectionError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        protocol = ServerProtocol()
        while data := await reader.read(1 << 16):
            protocol.receive_data(data)
            for event in protocol.events_received():
                if isinstance(event, Request):
                    protocol.send_response(protocol.accept(event))
                    protocol.send_text(b'{"type": "auth"}')
                    self._writer = writer
                    self._connected.set()
            writer.write(b"".join(protocol.data_to_send()))

    async def connected(self) -> None:
        """Wait for a reader."""
        await asyncio.wait_for(self._connected.wait(), 30)

    async def storm(self, events: float) -> float:
        """As fast as they are read; when the first was sent."""
        return await self._all([framed(number) for number in range(int(events))])

    async def unwanted(self, events: float) -> float:
        """The same with events that go nowhere, but for the last one."""
        return await self._all([framed(number, "user-notification") for number in range(1, int(events))] + [framed(0)])

    async def steady(self, rate: float, events: float) -> list[float]:
        """At a rate; when each was sent."""
        frames, sent = [framed(number) for number in range(int(events))], []
        begun = time.monotonic()
        for number, frame in enumerate(frames):
            if (early := begun + number / rate - time.monotonic()) > 0:
                await asyncio.sleep(early)
            sent.append(time.monotonic())
            self._writer.write(frame)
        return sent

    async def _all(self, frames: list[bytes]) -> float:
        blob = b"".join(frames)
        begun = time.monotonic()
        for start in range(0, len(blob), PIECE):
            self._writer.write(blob[start : start + PIECE])
            await self._writer.drain()
        return begun


async def main() -> None:
    """Serve until standard input ends."""
    source = Source()
    server = await asyncio.start_server(source.serve, "127.0.0.1", 0)
    answers = {name: getattr(source, name) for name in ("connected", "storm", "unwanted", "steady")}
    await obey(server.sockets[0].getsockname()[1], answers)


if __name__ == "__main__":
    asyncio.run(main())
