"""Who may connect: every way in which Tutum's clients ever sent credentials, read and checked. Pure.

The forms are those of protocol A2, taken from what the clients really put on the wire; stream and REST API take the
same ones.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

AUTH_PARAMETERS: Final = frozenset({b"user", b"token", b"sid", b"auth"})
"""Query parameters that hold credentials: never logged, never repeated in an answer."""

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


def _digest(user: bytes, key: bytes) -> bytes:
    """One length for all pairs, so that a comparison takes the same time for all."""
    return hashlib.sha256(b"%d:%b:%b" % (len(user), user, key)).digest()


class Access:
    """The accounts that may connect.

    Args:
        users: several keys of one user are several entries. None at all: nobody may connect.
    """

    def __init__(self, users: Sequence[Credentials]) -> None:
        self._known = [(one.user, _digest(one.user.encode(), one.key.encode())) for one in users]

    def granted(self, shown: Presented | None) -> str | None:
        """The user's name where the credentials are right, None otherwise; takes the same time either way."""
        if shown is None:
            return None
        digest = _digest(shown.user, shown.key)
        found = None
        for user, known in self._known:
            if hmac.compare_digest(digest, known):
                found = user
        return found
