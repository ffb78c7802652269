"""Which engines are to be shown: from `--engine` and from Docker's own variables and contexts. Pure, but for `read`.

The order is Docker's: `--engine`, `DOCKER_HOST`, `DOCKER_CONTEXT`, the current context of `config.json`, and the local
socket. A context of Docker's is also an engine by the URL `context://NAME`.
"""

import hashlib
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from tutumstream.errors import DockerError, SettingsError
from tutumstream.event import escaped
from tutumstream.gateway.docker.address import (
    DEFAULT_HOST,
    Address,
    Certificates,
    Ssh,
    Tcp,
    Unix,
    parse_docker_host,
    shown,
)
from tutumstream.gateway.docker.tls import client_options

Read = Callable[[str], bytes]
"""Reads a file; raises OSError."""

DEFAULT_CONTEXT: Final = "default"
CONTEXT: Final = "context://"
LOCAL: Final = "local"

_NAMED = re.compile(r"(?P<name>[^=:/]*)=(?P<url>.*)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)


class Engine(msgspec.Struct, frozen=True):
    """An engine to show.

    Attributes:
        name: part of all its objects' identities, so it must stay the same.
        url: as it was written, without a password; for messages.
    """

    name: str
    url: str
    address: Address


def read_engines(named: Sequence[str], environment: Mapping[str, str], read: Read) -> tuple[Engine, ...]:
    """The engines to show, one at least.

    Args:
        named: the values of `--engine`; none at all for what Docker's variables say.
        environment: DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CERT_PATH, DOCKER_TLS_VERIFY, DOCKER_CONFIG, HOME.

    Raises:
        SettingsError: with every mistake.
    """
    docker = _Docker({key: value for key, value in environment.items() if value.strip()}, read)
    mistakes: list[str] = []
    found: list[Engine] = []
    for place, name, url in [("--engine", *_split(text)) for text in named] or [docker.chosen(mistakes)]:
        try:
            if name is not None and not _NAME.fullmatch(name):
                raise DockerError(escaped(name, 80) or "(empty)", "a name has 1 to 63 letters, digits and _ . -")
            found.append(docker.engine(name, url))
        except DockerError as problem:
            mistakes.append(f"{place}: {problem}")
    mistakes += _doubled(found)
    if mistakes:
        raise SettingsError(mistakes)
    return tuple(found)


def _split(text: str) -> tuple[str | None, str]:
    parts = _NAMED.fullmatch(text)
    return (parts["name"], parts["url"]) if parts else (None, text)


def _doubled(found: Sequence[Engine]) -> list[str]:
    names = [one.name for one in found]
    addresses = [one.address for one in found]
    mistakes = [
        f"--engine: {names.count(name)} engines are named {name}; name each as NAME=URL"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    return mistakes + [
        f"--engine: {shown(one.url)} is named twice"
        for place, one in enumerate(found)
        if one.address in addresses[:place]
    ]


class _Docker:
    """Docker's own settings of one user."""

    def __init__(self, environment: Mapping[str, str], read: Read) -> None:
        self._environment = environment
        self._read = read
        home = environment.get("HOME", "")
        self._config = environment.get("DOCKER_CONFIG") or (posixpath.join(home, ".docker") if home else "")

    def chosen(self, mistakes: list[str]) -> tuple[str, str | None, str]:
        """The one engine of Docker's variables: what names it, its name, its URL."""
        if host := self._environment.get("DOCKER_HOST"):
            return "DOCKER_HOST", None, host
        if context := self._environment.get("DOCKER_CONTEXT"):
            return "DOCKER_CONTEXT", None, CONTEXT + context
        place = posixpath.join(self._config, "config.json")
        try:
            context = _text(_json(self._read(place)), "currentContext") if self._config else ""
        except OSError:
            context = ""
        except ValueError as problem:
            mistakes.append(f"{place}: it can't be read ({problem}); mend it, or set DOCKER_HOST")
            context = ""
        return (place, None, CONTEXT + context) if context else ("DOCKER_HOST", None, DEFAULT_HOST)

    def engine(self, name: str | None, url: str) -> Engine:
        """The engine of a URL. Raises `DockerError`."""
        if url.startswith(CONTEXT):
            return self._context(name, url, url.removeprefix(CONTEXT))
        address = parse_docker_host(url, self._tls() if url.lower().startswith("tcp://") else None)
        return Engine(name or _named_after(address), shown(url), _checked(url, address))

    def _context(self, name: str | None, url: str, context: str) -> Engine:
        if context == DEFAULT_CONTEXT:
            return self.engine(name, self._environment.get("DOCKER_HOST", DEFAULT_HOST))
        if not self._config:
            raise DockerError(shown(url), "contexts are looked for under HOME or DOCKER_CONFIG, and neither is set")
        # Docker names the folder of a context by a hash of the context's name.
        folder = hashlib.sha256(context.encode("utf-8", "surrogateescape")).hexdigest()
        meta = posixpath.join(self._config, "contexts", "meta", folder, "meta.json")
        try:
            host = _text(_json(self._read(meta)), "Endpoints", "docker", "Host")
        except OSError as problem:
            words = f"there is no such context ({meta}: {problem.strerror}); `docker context ls` lists them"
            raise DockerError(shown(url), words) from problem
        except ValueError as problem:
            raise DockerError(shown(url), f"{meta} can't be read: {problem}") from problem
        if not host:
            raise DockerError(shown(url), f"{meta} names no Docker endpoint")
        tls = None
        if host.lower().startswith("tcp://"):
            tls = self._certificates(posixpath.join(self._config, "contexts", "tls", folder, "docker"), required=False)
        valid = context if _NAME.fullmatch(context) else None
        return Engine(name or valid or LOCAL, shown(host), _checked(host, parse_docker_host(host, tls)))

    def _tls(self) -> Certificates | None:
        """With either variable: Docker's library looks at the one, its command at the other. The peer is always
        checked, whatever they hold."""
        folder = self._environment.get("DOCKER_CERT_PATH", "")
        if not folder and "DOCKER_TLS_VERIFY" not in self._environment:
            return None
        if not folder and not self._config:
            raise DockerError("DOCKER_TLS_VERIFY", "set DOCKER_CERT_PATH too: there is no HOME to look in")
        found = self._certificates(folder or self._config, required=bool(folder))
        # Without any of them the engine is checked by the system's authorities; it is never TLS that is left out.
        return found or Certificates(self._config)

    def _certificates(self, folder: str, required: bool) -> Certificates | None:
        ca, cert, key = (self._pem(posixpath.join(folder, f"{name}.pem")) for name in ("ca", "cert", "key"))
        if required and not (ca or cert or key):
            raise DockerError(folder, "there is none of ca.pem, cert.pem and key.pem; see DOCKER_CERT_PATH")
        if bool(cert) != bool(key):
            raise DockerError(folder, f"{'key' if cert else 'cert'}.pem is missing: a certificate needs its key")
        return Certificates(folder, ca, cert + b"\n" + key if cert else b"") if required or ca or cert else None

    def _pem(self, path: str) -> bytes:
        try:
            return self._read(path)
        except FileNotFoundError:
            return b""
        except OSError as problem:
            raise DockerError(path, f"it can't be read: {problem.strerror}") from problem


def _checked(url: str, address: Address) -> Address:
    if isinstance(address, Tcp) and address.tls is not None:
        try:
            client_options(address.host, address.tls)
        except ValueError as problem:
            raise DockerError(shown(url), str(problem)) from None
    return address


def _named_after(address: Address) -> str:
    if isinstance(address, Unix):
        return LOCAL
    host = address.host
    return host if isinstance(address, Tcp | Ssh) and _NAME.fullmatch(host) else host.replace(":", "-").strip("-")


def _json(raw: bytes) -> Any:
    return msgspec.json.decode(raw)


def _text(value: Any, *path: str) -> str:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""
