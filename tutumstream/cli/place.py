"""Where a service listens: read from a URL, or from the endpoint that `--listen` gave the service. Pure."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal
from urllib.parse import urlsplit

EXAMPLES: Final = "http://127.0.0.1:8788, tcp:8788:interface=127.0.0.1 and unix:/run/tutumstream.sock are such places"

_ANYWHERE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (read, not bound)


@dataclass(frozen=True, slots=True)
class Place:
    """Where to ask.

    Attributes:
        host: a name or an address; for `unix` the socket's path.
        port: 0 for `unix`.
        here: on this machine, where there may be a journal to open instead.
    """

    scheme: Literal["http", "https", "unix"]
    host: str
    port: int
    here: bool

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix:{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse(text: str) -> Place | None:
    """The place; None for `none`.

    Raises:
        ValueError: it names no place; the text says what would.
    """
    if text.lower() == "none":
        return None
    return _of_url(text) if "://" in text else _of_endpoint(text)


def _of_url(text: str) -> Place:
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError as problem:
        raise ValueError(f"no URL ({problem}); {EXAMPLES}") from None
    rest = (url.path.strip("/"), url.query, url.fragment, url.username or url.password)
    if url.scheme not in ("http", "https") or not host or any(rest):
        raise ValueError(f"only http(s)://HOST[:PORT] is understood; {EXAMPLES}")
    if url.scheme == "https":
        return Place("https", host, port or 443, _is_loopback(host))
    return Place("http", host, port or 80, _is_loopback(host))


def _of_endpoint(text: str) -> Place:
    """Twisted's form, `KIND:ARGUMENT:NAME=VALUE`, a colon within a value as `\\:`."""
    kind, *arguments = (re.sub(r"\\(.)", r"\1", part) for part in re.split(r"(?<!\\):", text))
    named = dict(part.split("=", 1) for part in arguments if "=" in part)
    placed = [part for part in arguments if "=" not in part]
    if kind == "unix" and (path := named.get("address", "".join(placed[:1]))):
        return Place("unix", path, 0, here=True)
    port = named.get("port", "".join(placed[:1]))
    if kind not in ("tcp", "tcp6") or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise ValueError(f"can't tell from it where to ask; {EXAMPLES}")
    interface = named.get("interface", "::" if kind == "tcp6" else "")
    return Place("http", _ANYWHERE.get(interface, interface), int(port), here=True)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
