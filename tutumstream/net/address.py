"""A URL that may be a secret: taken apart once, so that only its harmless part is ever shown."""

import base64
import re
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from tutumstream.reach import host_name, why_not_public

_SHORTEST_SECRET = 8
"""Characters: path segments shorter than this are words (`services`, `v2`), and masking them would hide too much."""

_UNSAFE = re.compile(r"[\x00-\x20\x7f]")
_AS_IT_IS = "!#$%&'()*+,/:;=?@[]~"
"""Of ASCII, nothing is quoted again: the server gets the path that its owner was given."""

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
            ValueError: it is no http or https URL with a host; the text says why and holds nothing of the
                URL but, at most, a label of its host.
        """
        if _UNSAFE.search(text):
            raise ValueError("the URL holds blanks or control characters")
        try:
            parts = urlsplit(text)
            port = parts.port
            host = host_name(parts.hostname) if parts.hostname else ""
        except ValueError:
            raise ValueError("the URL has no valid host and port") from None
        if parts.scheme not in _DEFAULT_PORTS:
            raise ValueError("the URL must begin with https:// or http://")
        if not host:
            raise ValueError("the URL names no host")
        if port == 0:
            raise ValueError("the URL has no valid host and port")
        if parts.scheme == "https" and (why_not := why_not_public(host)):
            raise ValueError(f"no certificate can be for this host: {why_not}")
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


def basic(user: str, password: str) -> str:
    """The value of an `Authorization` header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def masked(text: str, secrets: tuple[str, ...]) -> str:
    """The text with every one of these replaced by `***`."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


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
