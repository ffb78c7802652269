"""Who is let in: one judgement for both APIs, on credentials, on failures before, and on where a request comes from.

A browser sends the password that it remembers with whatever another site's page asks of us, a WebSocket included. So
credentials in the header count only without an `Origin`, or with one that is ours: the host that was asked for, or one
that the operator named. The SDKs of 2015 make theirs of the very address that they connect to (protocol A10). Whoever
has the credentials in the query knows them, and may come from anywhere.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from tutumstream.gateway.access import Access, Query, presented
from tutumstream.gateway.failures import FailureLimit

ANY_ORIGIN: Final = "*"

GUESSED_AT_ONCE: Final = 64
"""Credentials that may be looked at closely at one time; it takes a few seconds to get through them."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What of a request says who sent it.

    Attributes:
        address: the peer's, "" for a UNIX socket.
        host: of the request's `Host`, as it came; "" where there is none.
        origin: None where there is none.
    """

    authorization: bytes | None
    query: Query
    address: str
    host: str
    origin: str | None


class Granted(msgspec.Struct, frozen=True):
    """Let in, as this user."""

    user: str


class Refused(msgspec.Struct, frozen=True):
    """Not let in.

    Attributes:
        wait: seconds before this peer is listened to again; 0 where it may try again at once.
        foreign: it has credentials, but comes from another site's page.
    """

    wait: float = 0.0
    foreign: bool = False


class Gate:
    """Judges requests.

    Args:
        clock: for counting failures.
        query_auth: whether credentials in the query count; URLs end in logs and histories.
        origins: hosts, with their port where it is not the scheme's own, whose pages may use a browser's credentials;
            `*` for all.
    """

    def __init__(
        self, access: Access, clock: IReactorTime, query_auth: bool = True, origins: Sequence[str] = ()
    ) -> None:
        self._access = access
        self._clock = clock
        self._query_auth = query_auth
        self._origins = frozenset(one.lower() for one in origins)
        self._failures = FailureLimit()
        self._checking = 0

    def judge(self, asked: Asked) -> Deferred[Granted | Refused]:
        """The judgement; it has fired already where nothing has to be looked at closely."""
        return Deferred.fromCoroutine(self._judge(asked))

    async def _judge(self, asked: Asked) -> Granted | Refused:
        if asked.authorization is not None and not self._is_ours(asked.origin, asked.host):
            return Refused(foreign=True)
        shown = presented(asked.authorization, asked.query if self._query_auth else {})
        address, user, now = asked.address, shown.user if shown else b"", self._clock.seconds()
        if (wait := self._failures.wait(address, user, now)) > 0:
            return Refused(wait)
        if (name := self._access.granted(shown)) is not None:
            return Granted(name)
        doubtful = self._access.doubtful(shown)
        if doubtful and (wait := self._failures.wait_to_guess(address, now)) > 0:
            return Refused(wait)
        if doubtful and self._checking >= GUESSED_AT_ONCE:
            return Refused(1.0)
        # Noted first: otherwise a thousand guesses at once would all be looked at.
        self._failures.failed(address, user, now)
        if shown is None or not doubtful:
            return Refused()
        self._checking += 1
        try:
            name = await self._access.checked(shown)
        finally:
            self._checking -= 1
        if name is None:
            return Refused()
        self._failures.forgiven(address, user, self._clock.seconds())
        return Granted(name)

    def _is_ours(self, origin: str | None, host: str) -> bool:
        if origin is None or ANY_ORIGIN in self._origins:
            return True
        named = host_of(origin)
        return named is not None and (named == host_of(f"//{host}") or named in self._origins)


def host_of(origin: str) -> str | None:
    """Host and port of an origin or a `//host:port`, None where it has none. A scheme's own port is left out."""
    try:
        parts = urlsplit(origin.strip().lower())
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname:
        return None
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    # The SDKs write http://host:443 for a wss:// address, so both defaults are left out whatever the scheme is.
    return name if port in (None, 80, 443) else f"{name}:{port}"
