"""Who may connect: every way in which Tutum's clients ever sent credentials, read and checked.

The forms are those of protocol A2, taken from what the clients really put on the wire; stream and REST API take the
same ones.
"""

import base64
import binascii
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred

from tutumstream.gateway.users import HashedKey, dummy

AUTH_PARAMETERS: Final = frozenset({b"user", b"token", b"sid", b"auth"})
"""Query parameters that hold credentials: never logged, never repeated in an answer."""

KEY_LIMIT: Final = 1024
"""Bytes of a key; longer ones are not even hashed."""

WRONG_REMEMBERED: Final = 1024

Elsewhere = Callable[..., Deferred[Any]]
"""Calls a function with its arguments, somewhere, and gives the result."""

Query = Mapping[bytes, Sequence[bytes]]
"""A parsed query: percent signs and pluses decoded, all values of each name in order."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account and its API key (or password). The key is never shown."""

    user: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Presented:
    """What a client sent, as bytes; not yet checked."""

    user: bytes
    key: bytes = field(repr=False)


def presented(authorization: bytes | None, query: Query) -> Presented | None:
    """Find credentials in a request; None where there are none or they can't be read.

    Args:
        authorization: the `Authorization` header. Where there is one the query is not looked at: python-tutum 0.20.2
            sends both.
        query: `?auth=`, or `?user=` with `token=` (`sid=` in one old script).
    """
    if authorization is not None:
        return _from_scheme(authorization)
    if b"auth" in query:
        return _from_scheme(query[b"auth"][0])
    keys = query.get(b"token") or query.get(b"sid")
    if b"user" in query and keys:
        return Presented(query[b"user"][0], keys[0])
    return None


def _from_scheme(value: bytes) -> Presented | None:
    """`Basic <base64 of user:key>` or `ApiKey user:key`, the scheme in any case."""
    scheme, _, rest = value.strip().partition(b" ")
    rest = rest.strip(b" ")
    if scheme.lower() == b"apikey":
        return _split(rest)
    if scheme.lower() == b"basic":
        return _from_base64(rest)
    return None


def _from_base64(text: bytes) -> Presented | None:
    # The CLI's second login writes the value with quotes round it and sends them (A2, rule 2).
    if len(text) >= 2 and text.startswith(b'"') and text.endswith(b'"'):
        text = text[1:-1]
    # A plus that was put into a query unescaped arrives as a blank (A2, rule 1).
    text = text.replace(b" ", b"+")
    try:
        return _split(base64.b64decode(text + b"=" * (-len(text) % 4), validate=True))
    except binascii.Error:
        return None


def _split(pair: bytes) -> Presented | None:
    user, colon, key = pair.partition(b":")
    return Presented(user, key) if colon else None


class Access:
    """The accounts that may connect.

    A hashed key takes its time to check, so what was right once is remembered, by a digest that only this process can
    make; and what was wrong lately, because clients of 2015 come back with it a thousand times a second.

    Args:
        users: several keys of one user are several entries. None at all: nobody may connect.
        hashed: accounts of which only a hash is known.
        elsewhere: runs what takes long, and gives its result; at once by default, in a thread where nothing may wait.
    """

    def __init__(
        self,
        users: Sequence[Credentials] = (),
        hashed: Sequence[HashedKey] = (),
        elsewhere: Elsewhere = maybeDeferred,
    ) -> None:
        self._secret = secrets.token_bytes(32)
        self._users = users
        self._elsewhere = elsewhere
        self.replace(hashed)

    def replace(self, hashed: Sequence[HashedKey]) -> None:
        """Other hashed accounts from now on; who is connected stays."""
        self._hashed = tuple(hashed)
        self._right = {self._digest(one.user.encode(), one.key.encode()): one.user for one in self._users}
        self._wrong: OrderedDict[bytes, None] = OrderedDict()

    def granted(self, shown: Presented | None) -> str | None:
        """The user's name where the credentials are known to be right, None otherwise; the same time either way."""
        if shown is None:
            return None
        digest = self._digest(shown.user, shown.key)
        found = None
        for known, user in self._right.items():
            if hmac.compare_digest(digest, known):
                found = user
        return found

    def doubtful(self, shown: Presented | None) -> bool:
        """Only `checked` can tell whether these are right: nobody has shown them lately."""
        if shown is None or not self._hashed or len(shown.key) > KEY_LIMIT:
            return False
        return self._digest(shown.user, shown.key) not in self._wrong

    def checked(self, shown: Presented) -> Deferred[str | None]:
        """The user's name where the credentials are right, None otherwise. Takes as long for a user who is unknown."""
        return Deferred.fromCoroutine(self._check(shown))

    async def _check(self, shown: Presented) -> str | None:
        asked = self._hashed
        candidates = [one for one in asked if hmac.compare_digest(one.user.encode(), shown.user)] or [dummy()]
        found = None
        for one in candidates:
            if await self._elsewhere(one.matches, shown.key):
                found = one.user
        if asked is not self._hashed:
            return None
        digest = self._digest(shown.user, shown.key)
        if found is not None:
            self._right[digest] = found
        else:
            self._wrong[digest] = None
            while len(self._wrong) > WRONG_REMEMBERED:
                self._wrong.popitem(last=False)
        return found

    def _digest(self, user: bytes, key: bytes) -> bytes:
        """One length for all pairs, so that a comparison takes the same time for all."""
        return hmac.digest(self._secret, b"%d:%b:%b" % (len(user), user, key), "sha256")
