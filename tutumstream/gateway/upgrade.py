"""Upgrades to WebSockets: who asks for what, and what becomes of the connection."""

from math import ceil
from typing import Final, cast
from urllib.parse import unquote_to_bytes

from autobahn.twisted.resource import WebSocketResource
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol
from twisted.web.resource import Resource
from twisted.web.server import Request

from tutumstream.channel import BoundedChannel
from tutumstream.event import escaped
from tutumstream.gateway.answering import asked, failed, when
from tutumstream.gateway.dialect import Wanted, segments, wanted
from tutumstream.gateway.events import Filter
from tutumstream.gateway.following import Following
from tutumstream.gateway.gate import Gate, Granted, Refused
from tutumstream.gateway.platform import IPlatform
from tutumstream.gateway.settings import Permission
from tutumstream.gateway.streaming import CLOSE_DELAY, StreamFactory
from tutumstream.gateway.visitor import REASON_LIMIT, Visit

UNAUTHORIZED: Final = "UNAUTHORIZED"
NOT_FOUND: Final = "NOT_FOUND"
NOT_ALLOWED: Final = "NOT_ALLOWED"

LONG_CLOSE_DELAY: Final = 10.0
"""Seconds for which a client that was refused too often is held: it would be back at once otherwise."""

TAIL: Final = 300
"""Lines of a log that are shown unless a client asks for more or fewer (protocol A8)."""

TAIL_LIMIT: Final = 10_000


def is_upgrade(request: Request) -> bool:
    """Whether a WebSocket is asked for."""
    upgrades = request.getHeader(b"upgrade") or b""
    return b"websocket" in [one.strip().lower() for one in upgrades.split(b",")]


class Door:
    """What Autobahn's resource takes for a factory: makes the one protocol whose request was judged already."""

    def __init__(self, factory: StreamFactory, visit: Visit, user: str) -> None:
        self._factory = factory
        self._visit = visit
        self._user = user

    def buildProtocol(self, address: IAddress | None) -> Protocol:
        """The protocol for this connection."""
        self.made = self._factory.admit(address, self._visit, self._user)
        return self.made


class UpgradeResource(Resource):
    """Every stream.

    Tutum's paths always become a WebSocket, whatever the credentials and the path (protocol A3); Docker Cloud's are
    refused with a status before that (A12).

    Args:
        allow: what is served beyond events.
    """

    isLeaf = True

    def __init__(self, factory: StreamFactory, gate: Gate, platform: IPlatform, allow: frozenset[Permission]) -> None:
        super().__init__()
        self._factory = factory
        self._gate = gate
        self._platform = platform
        self._allow = allow

    def render(self, request: Request) -> bytes | int:
        """Judge the request, then hand its connection over to Autobahn."""
        if not is_upgrade(request):
            request.setHeader(b"upgrade", b"websocket")
            reply = failed(request, 426, "this is the Stream API: connect with a WebSocket client")
            # Twisted has no words for this number.
            request.setResponseCode(426, b"Upgrade Required")
            return reply
        path = [unquote_to_bytes(segment).decode("utf-8", "replace") for segment in segments(request.path)]
        found = wanted(path, frozenset())
        return when(self._gate.judge(asked(request)), request, lambda judged: self._judged(request, found, judged))

    def _judged(self, request: Request, found: Wanted | None, judged: Granted | Refused) -> bytes | int:
        cloud = found.dialect.cloud if found else segments(request.path)[:1] == [b"api"]
        if isinstance(judged, Refused):
            if cloud:
                return refused(request, judged)
            delay = LONG_CLOSE_DELAY if judged.wait else CLOSE_DELAY
            return self._hand_over(request, self._factory.refusing(UNAUTHORIZED, delay), "")
        if why := self._factory.no_room():
            return _closed(request, why)
        visit = self._visit(request, found) if found else NOT_FOUND
        if isinstance(visit, str):
            if cloud:
                return failed(request, 403 if visit == NOT_ALLOWED else 404, _WORDS[visit])
            visit = self._factory.refusing(visit)
        elif found and found.kind == "events" and self._factory.closed_because:
            return _closed(request, self._factory.closed_because)
        return self._hand_over(request, visit, judged.user)

    def _visit(self, request: Request, found: Wanted) -> Visit | str:
        """What the client came for, or why there is nothing."""
        arguments = request.args or {}

        def argument(name: bytes) -> str:
            values: list[bytes] = arguments.get(name, [b""])
            return values[-1].decode("utf-8", "replace")

        if found.kind == "events" and not found.key:
            if not found.dialect.cloud:
                return self._factory.listening()
            parents = frozenset(one for one in argument(b"parents").split(",") if one)
            wants = Filter(argument(b"type"), argument(b"object"), parents)
            return self._factory.listening(found.dialect, wants)
        if found.rest != "logs" or found.kind not in ("container", "service", "action"):
            # Exec is among these: it is never offered.
            return NOT_FOUND
        # Who may act may know how it went.
        if "logs" not in self._allow and (found.kind != "action" or "control" not in self._allow):
            return NOT_ALLOWED
        if self._platform.get(found.kind, found.key) is None:
            return NOT_FOUND
        follow = argument(b"follow").lower() not in ("false", "0", "no")
        return Following(self._factory, self._platform, found.kind, found.key, _tail(argument(b"tail")), follow)

    def _hand_over(self, request: Request, visit: Visit, user: str) -> bytes | int:
        # Autobahn logs what it dislikes about a request: it shall not see credentials. Origins were judged already.
        request.uri = b"/v1/events"
        request.requestHeaders.removeHeader(b"authorization")
        request.requestHeaders.removeHeader(b"origin")
        door, channel = Door(self._factory, visit, user), cast(BoundedChannel, request.channel)
        taken: bytes | int = WebSocketResource(door).render(request)
        channel.hand_over(door.made)
        return taken


def _closed(request: Request, why: str) -> bytes:
    # A WebSocket client shows the status line only, so that says why too.
    reply = failed(request, 503, why)
    request.setResponseCode(503, escaped(why, REASON_LIMIT).encode())
    request.setHeader(b"retry-after", b"5")
    return reply


_WORDS: Final = {
    NOT_FOUND: "there is no such stream",
    NOT_ALLOWED: "this gateway does not show logs; its operator can allow them",
}


def refused(request: Request, judged: Refused) -> bytes:
    """Answer to somebody who is not let in, with a status."""
    if judged.foreign:
        return failed(request, 403, "another site's page may not use these credentials here")
    if judged.wait:
        request.setHeader(b"retry-after", b"%d" % ceil(judged.wait))
        return failed(request, 429, "too many requests with wrong credentials: wait, then check user and API key")
    request.setHeader(b"www-authenticate", b'Basic realm="Tutum"')
    return failed(request, 401, "wrong or missing user and API key")


def _tail(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 10:
        return min(int(text), TAIL_LIMIT)
    return TAIL_LIMIT if text == "all" else TAIL
