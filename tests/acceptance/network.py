"""What lies between: TLS in front of a plain server, a proxy that knows CONNECT, and a cable that can be cut."""

import asyncio
import base64
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextmanager
def listening(talk: Talk, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve on a free port, in a thread of its own; gives the port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    started = asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    server = asyncio.run_coroutine_threadsafe(started, loop).result(5)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def tls_front(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """TLS before the plain server at this port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _join(reader, writer, port)

    with listening(talk, context) as front:
        yield front


@contextmanager
def connect_proxy(user: str = "", password: str = "") -> Iterator[tuple[int, list[str]]]:
    """A proxy whose every name is 127.0.0.1; gives its port and what it was asked to connect to."""
    wanted = base64.b64encode(f"{user}:{password}".encode()).decode()
    asked: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        if user and f"Proxy-Authorization: Basic {wanted}\r\n" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        target = head.split(" ")[1]
        asked.append(target)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await _join(reader, writer, int(target.rpartition(":")[2]))

    with listening(talk) as port:
        yield port, asked


class Cable:
    """A line to a port of this machine, which can be cut; `whole` at first.

    `refusing`: connections are reset, and so is each new one. `silent`: what is sent arrives nowhere and nobody is told
    so, even when the line is whole again, as behind a firewall that has forgotten them.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._state = "whole"
        self._ends: set[asyncio.StreamWriter] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cuts = 0

    @contextmanager
    def plugged(self) -> Iterator[int]:
        """Gives the port at its near end."""
        with listening(self._talk) as port:
            yield port

    def cut(self, state: str) -> None:
        """From now on."""
        self._state, self._cuts = state, self._cuts + 1
        if state == "refusing" and self._loop is not None:
            self._loop.call_soon_threadsafe(self._reset)

    def mend(self) -> None:
        """For what is connected from now on."""
        self._state = "whole"

    def _reset(self) -> None:
        for end in self._ends:
            end.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._loop = asyncio.get_running_loop()
        if self._state == "refusing":
            writer.transport.abort()
            return
        if self._state == "silent":
            await _for_ever()
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._ends |= {writer, back}
        await asyncio.gather(self._pass_on(reader, back, self._cuts), self._pass_on(there, writer, self._cuts))
        self._ends -= {writer, back}

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, cuts: int) -> None:
        with closing(target), suppress(OSError):
            while True:
                data = await source.read(65536)
                if self._state == "silent" or (self._cuts > cuts and self._state != "refusing"):
                    await _for_ever()
                if not data:
                    return
                target.write(data)
                await target.drain()


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    there, back = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(_pipe(reader, back), _pipe(there, writer))


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with closing(target), suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
