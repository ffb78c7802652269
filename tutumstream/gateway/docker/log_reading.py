"""Logs from an engine: made only where the operator allows logs.

Three paths, for containers, and in a swarm services and tasks, whose ids the engine gave us. The last two reach the
other nodes, too: there each piece says by what task it was written. A container without a terminal has its two streams
in one connection, each piece behind eight bytes that say which it is and how long; one with a terminal has only one, in
lines. Every piece begins with its time, so the first byte says which of the two it is.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, cast

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from zope.interface import implementer

from tutumstream.errors import DockerError
from tutumstream.event import escaped
from tutumstream.gateway.docker.exchange import ERROR_LIMIT, Answer, explained, late
from tutumstream.gateway.docker.transport import Agents, read_body
from tutumstream.gateway.platform import ILogReader, ILogs, LogLine

HEAD_TIMEOUT: Final = 60.0
PIECE_LIMIT: Final = 1024 * 1024
"""Docker's own pieces have 16 KiB; longer ones are cut."""

COLLECTED: Final = 16 * 1024 * 1024
"""Characters of a service's past that are sorted in memory."""

CONTAINERS_LIMIT: Final = 100

_ALLOWED: Final = re.compile(
    r"/v1\.\d{1,3}/(?:containers/[0-9a-f]{64}|tasks/[0-9a-z]{25}|services/[0-9a-z]{25})/logs"
    r"\?stdout=1&stderr=1&timestamps=1&tail=(?:\d{1,5}|all)&follow=[01](?:&since=\d{1,11}\.\d{9})?(?:&details=1)?"
)
_DETAILS: Final = re.compile(rb"com\.docker\.swarm\.[^ ]* ")
_TASK: Final = re.compile(rb"com\.docker\.swarm\.task\.id=([0-9a-z]{25})")
_TIME: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?Z ")
_STREAMS: Final = {1: "stdout", 2: "stderr"}


class Origin(msgspec.Struct, frozen=True):
    """What to read.

    Attributes:
        id, name: of a container; or of a swarm's service, or of one of its tasks, as `kind` says.
        since: only what was written from then on, nanoseconds by the engine's clock; 0 for the `tail` of all.
        names: of a service, the names of its containers by the ids of their tasks; asked when a task writes first.
    """

    id: str
    name: str
    since: int = 0
    kind: Literal["containers", "services", "tasks"] = "containers"
    names: Callable[[str], str] | None = None


Take = Callable[[LogLine], object]


class Pieces:
    """Bytes in, pieces out. Pure, but for what it has not finished."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._in_lines: bool | None = None
        self._rest = b""
        self._skip = 0
        self._named: dict[bytes, str] = {}

    def feed(self, data: bytes) -> list[LogLine]:
        """The pieces that are whole now."""
        self._rest += data
        if self._in_lines is None and self._rest:
            self._in_lines = self._rest[:1].isdigit()
        return self._lines() if self._in_lines else self._frames()

    def finish(self) -> list[LogLine]:
        """What is left at the end: a terminal's last line may have no end."""
        rest, self._rest = self._rest, b""
        return [self._piece("stdout", rest)] if rest and self._in_lines else []

    def _frames(self) -> list[LogLine]:
        found: list[LogLine] = []
        while True:
            if self._skip:
                dropped = min(self._skip, len(self._rest))
                self._rest, self._skip = self._rest[dropped:], self._skip - dropped
            if self._skip or len(self._rest) < 8:
                return found
            size = int.from_bytes(self._rest[4:8], "big")
            taken = min(size, PIECE_LIMIT)
            if len(self._rest) < 8 + taken:
                return found
            found.append(self._piece(_STREAMS.get(self._rest[0], "stdout"), self._rest[8 : 8 + taken]))
            self._rest, self._skip = self._rest[8 + taken :], size - taken

    def _lines(self) -> list[LogLine]:
        *lines, self._rest = self._rest.split(b"\n")
        found = [self._piece("stdout", line + b"\n") for line in lines]
        if len(self._rest) > PIECE_LIMIT:
            found += self.finish()
        return found

    def _piece(self, stream: str, data: bytes) -> LogLine:
        time = _TIME.match(data)
        at = datetime.fromisoformat(time[1].decode()).replace(tzinfo=UTC) if time else None
        data, source = self._source(data[time.end() :] if time else data)
        text = data[:PIECE_LIMIT].decode("utf-8", "replace")
        return LogLine(text=text, stream=stream, timestamp=int(at.timestamp()) if at else 0, source=source)

    def _source(self, data: bytes) -> tuple[bytes, str]:
        """What was written, and by whom."""
        names, details = self._origin.names, _DETAILS.match(data)
        if names is None or details is None:
            return data, self._origin.name
        if details[0] not in self._named:
            task = _TASK.search(details[0])
            self._named[details[0]] = (names(task[1].decode()) if task else "") or self._origin.name
        return data[details.end() :], self._named[details[0]]


class _Body(Protocol):
    """An engine's answer, as it comes."""

    def __init__(self, origin: Origin, take: Take, ended: Callable[[], object]) -> None:
        self._pieces = Pieces(origin)
        self._take = take
        self._ended = ended

    def dataReceived(self, data: bytes) -> None:
        for line in self._pieces.feed(data):
            self._take(line)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002 - every end is alike
        for line in self._pieces.finish():
            self._take(line)
        self._ended()


class LogClient:
    """Asks one engine for logs.

    Args:
        host: the engine, for messages.
        prefix: the version of its API, as paths begin with it; asked anew each time.
    """

    def __init__(self, agents: Agents, clock: IReactorTime, host: str, prefix: Callable[[], str]) -> None:
        self._agents = agents
        self._clock = clock
        self._host = host
        self._prefix = prefix

    async def open(self, origin: Origin, tail: int, follow: bool, body: Protocol) -> None:
        """Have the log delivered there. Raises `DockerError`."""
        asked = f"stdout=1&stderr=1&timestamps=1&tail={'all' if origin.since else tail}&follow={follow:d}"
        if origin.since:
            asked += f"&since={origin.since // _SECOND}.{origin.since % _SECOND:09d}"
        if origin.names is not None:
            asked += "&details=1"
        path = f"{self._prefix()}/{origin.kind}/{origin.id}/logs?{asked}"
        if not _ALLOWED.fullmatch(path):
            raise DockerError(self._host, f"{escaped(path, 120)!r} is not asked for by this client")
        opening = self._agents.streams.request(b"GET", b"http://docker" + path.encode("ascii"), _HEADERS, None)
        far = self._agents.over_network
        response = await explained(self._host, opening.addTimeout(HEAD_TIMEOUT, self._clock, late), far)
        if response.code != 200:
            reading = read_body(response, ERROR_LIMIT).addTimeout(HEAD_TIMEOUT, self._clock, late)
            answer = Answer(response.code, response.headers, await explained(self._host, reading, far))
            advice = (
                "; a proxy in between must allow CONTAINERS, and for a swarm SERVICES and TASKS"
                if response.code == 403
                else ""
            )
            raise DockerError(self._host, f"it answers with HTTP status {answer.code}: {answer.said()}{advice}")
        response.deliverBody(body)


_SECOND: Final = 1_000_000_000
_HEADERS: Final = Headers({"User-Agent": ["tutumstream"]})


@implementer(ILogs)
class LogReading:
    """The logs of some containers, read side by side.

    Without `follow` the past of several is sorted by time before any of it is told; with it each is told as it comes.

    Args:
        origins: one at least.

    Attributes:
        stays: more may be added, so it does not end with the last of them.
        over: called once, when nothing is read any more.
    """

    stays = False
    over: Callable[[], object] = staticmethod(lambda: None)

    log = Logger()

    def __init__(
        self, client: LogClient, origins: Sequence[Origin], tail: int, follow: bool, reader: ILogReader
    ) -> None:
        self._client = client
        self._tail = tail
        self._reader: ILogReader | None = reader
        self._follow = follow
        self._sorts = not follow and (len(origins) > 1 or origins[0].kind == "services")
        self._collected: list[LogLine] = []
        self._size = 0
        self._paused = False
        self._bodies: dict[_Body, None] = {}
        self._openings: set[Deferred[None]] = set()
        chosen = origins[:CONTAINERS_LIMIT]
        self._open = len(chosen)
        for one in chosen:
            self._begin(one)

    def add(self, origin: Origin) -> None:
        """Read this one, too."""
        if self._reader is None:
            return
        if self._open >= CONTAINERS_LIMIT:
            self.log.warn("The log of {name} is not read: it is one too many", name=origin.name)
            return
        self._open += 1
        self._begin(origin)

    def no_more(self) -> None:
        """Nothing will be added: it ends with the last of them."""
        self.stays = False
        if self._open == 0:
            self._pour()

    def _begin(self, origin: Origin) -> None:
        opening = Deferred.fromCoroutine(self._opened(origin))
        if not opening.called:
            self._openings.add(opening)
            opening.addBoth(lambda _: self._openings.discard(opening))

    async def _opened(self, origin: Origin) -> None:
        body = _Body(origin, self._take, lambda: self._one_ended(body))
        self._bodies[body] = None
        try:
            await self._client.open(origin, self._tail, self._follow, body)
        except CancelledError:
            return
        except DockerError as problem:
            self.log.warn("The log of {name} can't be read: {problem}", name=origin.name, problem=problem)
            self._one_ended(body)
            return
        if body not in self._bodies:
            return
        if self._reader is None:
            _connection(body).loseConnection()
        elif self._paused:
            _connection(body).pauseProducing()

    def pause(self) -> None:
        if not self._paused:
            self._paused = True
            for body in self._connected():
                _connection(body).pauseProducing()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            for body in self._connected():
                _connection(body).resumeProducing()
            self._pour()

    def close(self) -> None:
        self._end()
        self._collected.clear()
        for opening in tuple(self._openings):
            opening.cancel()
        for body in self._connected():
            _connection(body).loseConnection()

    def _connected(self) -> list[_Body]:
        return [body for body in self._bodies if body.transport is not None]

    def _end(self) -> ILogReader | None:
        """Who was told until now; None where that is over already."""
        reader, self._reader = self._reader, None
        if reader is not None:
            self.over()
        return reader

    def _take(self, line: LogLine) -> None:
        if self._reader is None:
            return
        if not self._sorts:
            self._reader.line(line)
        elif self._size < COLLECTED:
            self._size += len(line.text)
            self._collected.append(line)

    def _one_ended(self, body: _Body) -> None:
        del self._bodies[body]
        self._open -= 1
        if self._open == 0 and not self.stays:
            self._collected.sort(key=lambda line: line.timestamp)
            self._collected = self._collected[len(self._collected) - min(self._tail, len(self._collected)) :]
            self._collected.reverse()
            self._pour()

    def _pour(self) -> None:
        """Tell what was sorted, as fast as it is taken, then that it is over."""
        if self._open:
            return
        while self._collected and not self._paused and self._reader is not None:
            self._reader.line(self._collected.pop())
        if not self._collected and not self.stays and (reader := self._end()) is not None:
            reader.ended()


def _connection(body: _Body) -> Any:
    """What Twisted gives to a body: it can be paused, resumed and lost, and is gone at the end."""
    return cast(Any, body.transport)
