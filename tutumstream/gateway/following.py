"""Logs over a WebSocket, in the form of protocol A8, as fast as the client takes them and no faster."""

import json
from typing import Final

from zope.interface import implementer

from tutumstream.gateway.platform import ILogReader, ILogs, IPlatform, LogLine
from tutumstream.gateway.streaming import NORMAL, StreamFactory
from tutumstream.gateway.visitor import StreamProtocol

THE_END: Final = "the end of the log"


def encode(line: LogLine, kind: str) -> bytes:
    """One message of the log of a `container`, a `service` or an `action`."""
    body = {"type": "log", "log": line.text, "timestamp": line.timestamp}
    if kind != "action":
        body["streamType"] = line.stream
    if kind == "service":
        body["source"] = line.source
    return json.dumps(body).encode()


@implementer(ILogReader)
class Following:
    """One client that reads the log of a container, of all containers of a service, or of an action.

    Args:
        tail: pieces from the past, at most.
        follow: stay for what is written from now on.
    """

    def __init__(
        self,
        factory: StreamFactory,
        platform: IPlatform,
        kind: str,
        uuid: str,
        tail: int,
        follow: bool,
    ) -> None:
        self._factory = factory
        self._platform = platform
        self._wanted = (kind, uuid, tail, follow)
        self._client: StreamProtocol | None = None
        self._logs: ILogs | None = None
        self._full = False

    def opened(self, client: StreamProtocol) -> None:
        """Begin to read. No greeting: these clients show whatever comes (protocol A8)."""
        self._client = client
        kind, uuid, tail, follow = self._wanted
        logs = self._platform.logs(kind, uuid, tail, follow, self)
        if logs is None:
            self.ended()
        elif self._client is not None:
            self._logs = logs
            if self._full:
                logs.pause()

    def line(self, line: LogLine) -> None:
        """Pass it on."""
        if self._client is not None:
            self._client.put(self._factory.prepareMessage(encode(line, self._wanted[0])))

    def ended(self) -> None:
        """Close: clients that don't follow wait for it."""
        if self._client is not None:
            self._client.end(NORMAL, THE_END)

    def paused(self, is_paused: bool) -> None:
        """Read on only as fast as the client does."""
        self._full = is_paused
        if self._logs is not None:
            if is_paused:
                self._logs.pause()
            else:
                self._logs.resume()

    def closed(self) -> None:
        """Read no more."""
        self._client = None
        logs, self._logs = self._logs, None
        if logs is not None:
            logs.close()
