"""Which proxy a URL needs, by the variables that everybody knows: HTTPS_PROXY, HTTP_PROXY, NO_PROXY."""

import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from tutumstream.errors import SettingsError
from tutumstream.net.address import basic
from tutumstream.reach import host_name

_KIND = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_PORT = {"http": 80, "https": 443}
_DEFAULT_PROXY_PORT = 3128
"""What curl takes for a proxy without a port is 1080, a browser 80; Squid's own is the likeliest to be meant."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that can CONNECT.

    Attributes:
        authorization: the value of `Proxy-Authorization`, None where it wants none.
    """

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)


class Proxies:
    """The environment's proxies, and what NO_PROXY leaves out of them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read the variables; lower case wins over upper case, an empty value means none.

        Args:
            environ: an empty mapping means that nothing ever goes through a proxy.

        Raises:
            SettingsError: a variable holds no `http://[user:password@]host[:port]`.
        """
        named = {scheme: _value(environ, f"{scheme}_proxy") for scheme in ("https", "http", "no")}
        mistakes: list[str] = []
        self._proxies: dict[str, Proxy] = {}
        for scheme in ("https", "http"):
            if not named[scheme]:
                continue
            try:
                self._proxies[scheme] = _parsed(named[scheme])
            except ValueError as problem:
                mistakes.append(
                    f"{scheme.upper()}_PROXY: {problem}; write it as http://host:port or http://user:password@host:port"
                )
        if mistakes:
            raise SettingsError(mistakes)
        self._exceptions = named["no"].lower().replace(",", " ").split()

    def for_url(self, url: str) -> Proxy | None:
        """The proxy on the way to an http, https, ws or wss URL; None where the way is direct."""
        parts = urlsplit(url)
        kind = _KIND.get(parts.scheme, "")
        proxy = self._proxies.get(kind)
        if proxy is None or parts.hostname is None:
            return proxy
        port = parts.port or _PORT[kind]
        return None if any(_excepts(one, parts.hostname, port) for one in self._exceptions) else proxy


def _value(environ: Mapping[str, str], name: str) -> str:
    """The lower case one where it is set at all, so that an empty one turns the other off."""
    return environ.get(name, environ.get(name.upper(), "")).strip()


def _excepts(exception: str, host: str, port: int) -> bool:
    """Whether a word of NO_PROXY, in lower case, means this host: as curl and Go read it, and so Docker.

    A name means itself and all below it, with a dot or `*.` in front or without; an address may have a length of its
    network; either may have a port, after brackets where it is IPv6; `*` means all.
    """
    if exception == "*":
        return True
    name, colon, number = exception.rpartition(":")
    if colon and number.isdecimal() and (":" not in name or name.startswith("[")):
        if int(number) != port:
            return False
        exception = name
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = exception.removeprefix("*").strip(".")
        return bool(name) and f".{host.rstrip('.')}".endswith(f".{name}")
    with suppress(ValueError):
        return address in ipaddress.ip_network(exception.strip("[]"), strict=False)
    return False


def _parsed(text: str) -> Proxy:
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
        host = host_name(parts.hostname) if parts.hostname else ""
    except ValueError:
        raise ValueError("the proxy has no valid host and port") from None
    if parts.scheme != "http":
        raise ValueError("only http:// proxies are supported")
    if not host:
        raise ValueError("the proxy names no host")
    if any(sign.isspace() for sign in text):
        raise ValueError("the proxy holds blanks")
    authorization = None
    if parts.username is not None:
        authorization = basic(unquote(parts.username), unquote(parts.password or ""))
    return Proxy(host, port or _DEFAULT_PROXY_PORT, authorization)
