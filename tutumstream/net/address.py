"""A URL that may be a secret: taken apart once, so that only its harmless part is ever shown."""

import base64
import re
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import idna
from twisted.internet.abstract import isIPAddress

_SHORTEST_SECRET = 8
"""Characters: path segments shorter than this are words (`services`, `v2`), and masking them would hide too much."""

_UNSAFE = re.compile(r"[\x00-\x20\x7f]")
_AS_IT_IS = "!#$%&'()*+,/:;=?@[]~"
"""Of ASCII, nothing is quoted again: the server gets the path that its owner was given."""

_HOST_NAME = re.compile(r"(?=.{1,253}\.?$)[^.]{1,63}(\.[^.]{1,63})*\.?")
"""What the resolver takes at all (RFC 1035, 2.3.4); what is no name beyond that it says itself, and at once."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Where an HTTP request goes.

    Attributes:
        origin: `scheme://host[:port]`, the only part that may be shown.
        url: what to ask for, in ASCII; without user, password and fragment.
        authorization: the `Authorization` header that user and password of the URL make, None without them.
        secrets: every part of the URL that somebody could misuse, the longest first.
    """

    origin: str
    url: str = field(repr=False)
    authorization: str | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    @lru_cache(maxsize=256)
    def parse(cls, text: str) -> "Address":
        """Take a URL apart. The last ones are remembered: a chat's is asked for with every message.

        Raises:
            ValueError: it is no http or https URL with a host; the text says why and holds nothing of the URL.
        """
        if _UNSAFE.search(text):
            raise ValueError("the URL holds blanks or control characters")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise ValueError("the URL has no valid host and port") from None
        if parts.scheme not in _DEFAULT_PORTS:
            raise ValueError("the URL must begin with https:// or http://")
        if not parts.hostname:
            raise ValueError("the URL names no host")
        if port == 0:
            raise ValueError("the URL has no valid host and port")
        host = host_name(parts.hostname)
        if parts.scheme == "https" and not _may_have_a_certificate(host):
            raise ValueError("no certificate can be for this host: of ASCII, its name may hold letters, digits and -")
        host = f"[{host}]" if ":" in host else host
        netloc = host if port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{host}:{port}"
        target = quote(parts.path or "/", safe=_AS_IT_IS) + (
            f"?{quote(parts.query, safe=_AS_IT_IS)}" if parts.query else ""
        )
        authorization = None
        if parts.username is not None:
            authorization = basic(unquote(parts.username), unquote(parts.password or ""))
        return cls(
            origin=f"{parts.scheme}://{netloc}",
            url=f"{parts.scheme}://{netloc}{target}",
            authorization=authorization,
            secrets=_secrets(text),
        )


def host_name(name: str) -> str:
    """A host's name as it is looked up, in ASCII; an address is left as it is.

    Raises:
        ValueError: no host can be called so.
    """
    try:
        plain = name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        plain = ""
    if not _HOST_NAME.fullmatch(plain):
        raise ValueError("the URL has no valid host and port")
    return plain


def basic(user: str, password: str) -> str:
    """The value of an `Authorization` header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def masked(text: str, secrets: tuple[str, ...]) -> str:
    """The text with every one of these replaced by `***`."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def _may_have_a_certificate(host: str) -> bool:
    if ":" in host or isIPAddress(host):
        return True
    try:
        return bool(idna.encode(host))
    except idna.IDNAError:
        return False


def _secrets(url: str) -> tuple[str, ...]:
    parts = urlsplit(url)
    path = parts.path.strip("/")
    target = f"{path}?{parts.query}" if parts.query else path
    found = {url, path, target, *path.split("/")}
    found.update(value for _, value in parse_qsl(parts.query, keep_blank_values=True))
    if parts.password:
        user, password = unquote(parts.username or ""), unquote(parts.password)
        found.update((parts.password, password, basic(user, password).removeprefix("Basic ")))
    found.update(unquote(one) for one in tuple(found))
    return tuple(sorted((one for one in found if len(one) >= _SHORTEST_SECRET), key=lambda one: (-len(one), one)))
