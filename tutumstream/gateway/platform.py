"""What stands behind the gateway: anything that has objects in Tutum's shape and says when they change.

The scenario (scripted) and Docker (real) are two of them; the server half knows only this page.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from tutumstream.docker_details import DockerDetails
from tutumstream.errors import TutumstreamError

KINDS: Final = ("stack", "service", "container", "nodecluster", "node", "action")
"""The objects that have events; each is a REST collection of the same name."""

Resource = Mapping[str, Any]
"""One object as the REST API shows it: protocol B4, JSON values only, `uuid` and `resource_uri` always there."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the stream: Tutum's five keys, none ever missing or null (protocol A5).

    Attributes:
        docker: what Docker knows beyond them; None where there is nothing to add.
    """

    type: str
    action: str
    state: str
    resource_uri: str
    parents: tuple[str, ...] = ()
    docker: DockerDetails | None = None


Verb = Literal["start", "stop", "redeploy", "scale", "terminate"]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a client wants done.

    Attributes:
        target: containers that a service is to have, with `scale`; None for as many as it is to have already.
        method, path, body, address, user_agent: of the request, for the action that comes of it.
    """

    verb: Verb
    kind: str
    uuid: str
    target: int | None = None
    method: str = "POST"
    path: str = ""
    body: str = ""
    address: str = ""
    user_agent: str = ""


class Taken(msgspec.Struct, frozen=True):
    """What came of an order: the object as it is now, and the URI of the action under which it is being done."""

    resource: Resource
    action: str


class OrderError(TutumstreamError):
    """An order is not carried out.

    Attributes:
        status: HTTP's number for the reason: 400, 404, 405, 409 or 503.
        problem: in words.
    """

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(status, problem)
        self.status = status
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of what a container wrote, its newline included.

    Attributes:
        text: never longer than what Docker keeps in one piece, 16 KiB or a little more.
        stream: `stdout` or `stderr`.
        timestamp: seconds since 1970, whole ones (protocol A8).
        source: the container's name.
    """

    text: str
    stream: str
    timestamp: int
    source: str


class ILogReader(Interface):
    """Who reads logs."""

    def line(line: LogLine) -> None:
        """Take the next; must not raise."""

    def ended() -> None:
        """No more will come. Not called after `close` of the reading."""


class ILogs(Interface):
    """A reading of logs that is under way."""

    def pause() -> None:
        """Bring nothing for now."""

    def resume() -> None:
        """Go on."""

    def close() -> None:
        """End it; harmless when it ended."""


Listener = Callable[[Change], None]


class IPlatform(Interface):
    """Objects and their changes. A change is told after `get` and `list` show it, never before."""

    synced: bool = Attribute("False until the objects are known; the REST API answers 503 meanwhile.")
    in_sight: bool = Attribute(
        "Whether any of the objects can be seen now. While not, the stream is closed to clients."
    )

    def start() -> Deferred[None]:
        """Begin. Fires when `synced` first became true; fails with a clear error where it never can."""

    def stop() -> Deferred[None]:
        """End, and let go of everything. Harmless when not started."""

    def subscribe(listener: Listener) -> Callable[[], None]:
        """Tell every change from now on, in order; the function returned ends it. Listeners must not block or raise."""

    def watch(noticed: Callable[[], None]) -> None:
        """Call this whenever `synced`, `in_sight` or `troubles` may have changed, after that."""

    def troubles() -> Sequence[str]:
        """What can't be seen now and why, a line each; empty when all is well. Harmless to show to any client."""

    def caught_up(kind: str, uuid: str = "") -> Deferred[None]:
        """Fires when `get` shows all that has changed of an object, or `list` of those of a kind, or when that takes
        too long: a state is shown before it is told, what else there is to know may have to be asked for."""

    def list(kind: str) -> Sequence[Resource]:
        """All objects of a kind, in a stable order; terminated ones for a short time too. [] for an unknown kind."""

    def get(kind: str, uuid: str) -> Resource | None:
        """One object, None where there is none."""

    def perform(order: Order) -> Deferred[Taken]:
        """Do something. Fires once it has begun; what becomes of it is told as changes, of the action too.
        Fails with `OrderError`. The object's state allows it: that was checked."""

    def logs(kind: str, uuid: str, tail: int, follow: bool, reader: ILogReader) -> ILogs | None:
        """Read what a container, or the containers of a service, wrote, or how an action went: the last `tail` pieces,
        and with `follow` what comes from then on. None where there is no such object or nothing can be read of it."""
