"""Which proxy a URL needs, by the variables that everybody knows: HTTPS_PROXY, HTTP_PROXY, NO_PROXY."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib import request
from urllib.parse import unquote, urlsplit

from tutumstream.errors import SettingsError
from tutumstream.net.address import basic
from tutumstream.reach import host_name

_urllib: Any = request  # typeshed knows this function on Windows and macOS only

_KIND = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
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
    """The environment's proxies. The rules of NO_PROXY are those of Python's own urllib."""

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
        self._bypass = {"no": named["no"]} if named["no"] else {}

    def for_url(self, url: str) -> Proxy | None:
        """The proxy on the way to an http, https, ws or wss URL; None where the way is direct."""
        parts = urlsplit(url)
        proxy = self._proxies.get(_KIND.get(parts.scheme, ""))
        if proxy is None or _urllib.proxy_bypass_environment(parts.netloc.rpartition("@")[2], self._bypass):
            return None
        return proxy


def _value(environ: Mapping[str, str], name: str) -> str:
    """The lower case one where it is set at all, so that an empty one turns the other off."""
    return environ.get(name, environ.get(name.upper(), "")).strip()


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
