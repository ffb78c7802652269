"""Servers for tests of HTTP: they say what they are told to, whatever they are asked."""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory, Protocol


class Says(Protocol):
    """Answers whatever comes with the same bytes."""

    def __init__(self, answer: bytes, close: bool = False) -> None:
        self.received = b""
        self._answer = answer
        self._close = close

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        transport: Any = self.transport
        transport.write(self._answer)
        if self._close:
            transport.loseConnection()


def answering(head: str, body: bytes = b"", close: bool = False, length: int | None = None) -> Says:
    lines = f"HTTP/1.1 {head}\r\n"
    if length is not None:
        lines += f"Content-Length: {length}\r\n"
    return Says(lines.encode() + b"\r\n" + body, close)


class Scripted(Protocol):
    """Calls with itself and everything received so far, whenever something comes; `said` is for the script to keep."""

    transport: Any

    def __init__(self, script: Callable[["Scripted", bytes], None]) -> None:
        self.received = b""
        self.said = 0
        self._script = script

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self._script(self, data)

    def say(self, data: bytes) -> None:
        """Say it."""
        self.said += 1
        self.transport.write(data)


class OneAfterTheOther(Factory):
    """The first connection gets the first of these protocols, and so on."""

    noisy = False

    def __init__(self, *protocols: Protocol) -> None:
        self._protocols = iter(protocols)

    def buildProtocol(self, addr: object) -> IProtocol:
        return next(self._protocols)
