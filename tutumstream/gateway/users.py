"""The file of accounts: one API key a line, hashed, so that whoever reads the file can't use it. Pure.

    # user:scrypt:N:r:p:salt:hash
    alice:scrypt:16384:8:1:b64:b64

Several lines for one user are several keys. The parameters are kept with each hash (RFC 7914), so that stronger ones
can be used for new lines at any time.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

import msgspec

from tutumstream.errors import TutumstreamError

COST: Final = (16384, 8, 1)
"""N, r and p of new lines: 16 MiB of memory and some 50 ms for each guess."""

SALT_SIZE: Final = 16
HASH_SIZE: Final = 32
MEMORY_LIMIT: Final = 64 * 1024 * 1024
"""Bytes that one guess may cost us, whatever a line asks for (128 · N · r)."""


class UserLineError(TutumstreamError):
    """A line of the file is none, or a name can't be used in one.

    Attributes:
        problem: what is wrong, and how it should be.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


class HashedKey(msgspec.Struct, frozen=True):
    """One line: an account and what is known of one of its keys."""

    user: str
    cost: tuple[int, int, int]
    salt: bytes
    digest: bytes

    def matches(self, key: bytes) -> bool:
        """Whether this is the key. Takes long on purpose, and as long for a wrong one."""
        return hmac.compare_digest(self.digest, _scrypt(key, self.salt, self.cost, len(self.digest)))

    def line(self) -> str:
        """It, as it stands in the file."""
        n, r, p = self.cost
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"{self.user}:scrypt:{n}:{r}:{p}:{salt}:{digest}"


def hash_key(user: str, key: bytes, salt: bytes, cost: tuple[int, int, int] = COST) -> HashedKey:
    """A new line. Raises `UserLineError` where the name can't be one.

    Args:
        salt: `SALT_SIZE` random bytes.
        cost: N, r and p; less than `COST` is for tests.
    """
    # Credentials are split at the first colon (protocol A2), and the file at the ends of lines.
    if not user or ":" in user or not user.isprintable() or user != user.strip() or user.startswith("#"):
        raise UserLineError(
            "a user's name is printable, does not begin with #, and has no colon and no blank around it"
        )
    return HashedKey(user, cost, salt, _scrypt(key, salt, cost, HASH_SIZE))


def dummy() -> HashedKey:
    """A key that nobody has: a guess at an unknown user costs what a guess at a known one costs."""
    return HashedKey("", COST, bytes(SALT_SIZE), bytes(HASH_SIZE))


def read_users(text: str) -> tuple[list[HashedKey], list[str]]:
    """The file's accounts, and its mistakes, each with the number of its line. Mistakes don't repeat what is there."""
    found: list[HashedKey] = []
    mistakes: list[str] = []
    # Not splitlines: it would cut a name at characters that are no ends of lines.
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        try:
            found.append(_read_line(stripped))
        except UserLineError as problem:
            mistakes.append(f"line {number}: {problem}")
    return found, mistakes


def _read_line(line: str) -> HashedKey:
    user, *fields = line.split(":")
    if not user or len(fields) != 6 or fields[0] != "scrypt":
        raise UserLineError("not user:scrypt:N:r:p:salt:hash; `tutumstream gateway-user NAME` makes such a line")
    n, r, p = (int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0 for text in fields[1:4])
    if n < 2 or n & (n - 1) or not r or not p or 128 * n * r > MEMORY_LIMIT or p > 16:
        raise UserLineError("N is a power of two, r and p are small numbers, and 128·N·r at most 64 MiB")
    try:
        salt, digest = (base64.b64decode(text, validate=True) for text in fields[4:])
    except (binascii.Error, ValueError):
        raise UserLineError("salt and hash must be base64") from None
    if len(digest) < HASH_SIZE or len(digest) > 64 or not salt:
        raise UserLineError("the hash has 32 to 64 bytes, and the salt is not empty")
    return HashedKey(user, (n, r, p), salt, digest)


def _scrypt(key: bytes, salt: bytes, cost: tuple[int, int, int], size: int) -> bytes:
    n, r, p = cost
    # OpenSSL wants a little more than 128·N·r.
    return hashlib.scrypt(key, salt=salt, n=n, r=r, p=p, dklen=size, maxmem=MEMORY_LIMIT + 32 * 1024 * 1024)
