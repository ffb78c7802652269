"""A bare client of an engine, for comparison: `python benchmarks/engine_peer.py SOCKET [mute]`, commanded by docker.py.

It reads the engine's events and asks it for each container that started or died, and does nothing else; where it is
`mute`, it asks nothing, and what it finds is how late the stream itself is. `listen` begins; `report` gives rows: the
engine's word for the event, and milliseconds from the engine's own time of it to its arrival, from the question to the
answer (None where nothing was asked), and from the engine's time to the answer.
"""

import asyncio
import json
import sys
import time
from collections.abc import Collection, Coroutine
from typing import Any

from parts import obey

EVENTS = "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D"

ASKED = ("start", "die")
"""Events that say nothing of what is to be told: how it ended, or whether it still runs."""

Row = tuple[str, float, float | None, float]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Peer:
    """The client of the engine at a UNIX socket.

    Args:
        asked: the events after which it asks.
    """

    def __init__(self, path: str, asked: Collection[str]) -> None:
        self.rows: list[Row] = []
        self._path = path
        self._asked = asked
        self._idle: list[Connection] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """From now on."""
        connection = await asyncio.open_unix_connection(self._path)
        await _head(connection, EVENTS)
        self._do(self._read(connection))

    def _do(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, connection: Connection) -> None:
        while True:
            chunk = await _chunk(connection)
            at = time.time()
            for line in chunk.splitlines():
                event = json.loads(line)
                born = event["timeNano"] / 1e9
                if event["Action"] in self._asked:
                    self._do(self._ask(event, born, at))
                else:
                    self.rows.append((event["Action"], (at - born) * 1e3, None, (at - born) * 1e3))

    async def _ask(self, event: dict[str, Any], born: float, at: float) -> None:
        connection = self._idle.pop() if self._idle else await asyncio.open_unix_connection(self._path)
        head = await _head(connection, f"/containers/{event['Actor']['ID']}/json")
        size = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if size:
            await connection[0].readexactly(int(size))
        else:
            while await _chunk(connection):
                pass
        now = time.time()
        self._idle.append(connection)
        self.rows.append((event["Action"], (at - born) * 1e3, (now - at) * 1e3, (now - born) * 1e3))


async def _head(connection: Connection, path: str) -> bytes:
    connection[1].write(f"GET {path} HTTP/1.1\r\nHost: docker\r\n\r\n".encode())
    return await connection[0].readuntil(b"\r\n\r\n")


async def _chunk(connection: Connection) -> bytes:
    size = int(await connection[0].readline(), 16)
    chunk = await connection[0].readexactly(size)
    await connection[0].readexactly(2)
    return chunk


async def main(path: str, mute: str = "") -> None:
    peer = Peer(path, () if mute else ASKED)

    async def report() -> object:
        return peer.rows

    await obey(0, {"listen": peer.listen, "report": report})


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
