"""Where an engine is: one URL, in the forms of `DOCKER_HOST`, read before anything is dialled. Pure."""

import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

from tutumstream.errors import DockerError
from tutumstream.event import escaped
from tutumstream.reach import host_name

DEFAULT_HOST: Final = "unix:///var/run/docker.sock"
PLAIN_PORT: Final = 2375
TLS_PORT: Final = 2376

_PATH_LIMIT: Final = 107
"""Bytes that fit into `sun_path` with its final NUL (unix(7))."""

# What may stand in a name of a machine, of one of ssh's own `Host` entries, and of a user: nothing that ssh could take
# for an option, and nothing that a shell on the other side could take for more than a word.
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})|[0-9A-Fa-f:.]{2,45}", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_REMOTE_PATH = re.compile(r"/[A-Za-z0-9_./-]{1,200}", re.ASCII)


class Certificates(msgspec.Struct, frozen=True):
    """What TLS needs, in PEM form. `ca` is empty for the system's authorities; `own` for no certificate of ours.

    Attributes:
        place: where they were read.
        own: our certificate and its key, one after the other. Never shown.
    """

    place: str
    ca: bytes = b""
    own: bytes = b""

    def __repr__(self) -> str:
        return f"Certificates({self.place!r})"


class Unix(msgspec.Struct, frozen=True):
    """A socket on this machine."""

    path: str


class Tcp(msgspec.Struct, frozen=True):
    """A port; with certificates it speaks TLS."""

    host: str
    port: int
    tls: Certificates | None = None


class Ssh(msgspec.Struct, frozen=True):
    """A machine that one logs in to. `user`, `port` and `socket` are "" and 0 where ssh and Docker decide."""

    host: str
    user: str = ""
    port: int = 0
    socket: str = ""


Address = Unix | Tcp | Ssh


def parse_docker_host(text: str, tls: Certificates | None = None) -> Address:
    """The address that a value of `DOCKER_HOST` names.

    Args:
        tls: for `tcp://`; None for a connection in the clear.

    Raises:
        DockerError: it names none; the text says how to write it.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise _mistake(text, f"has no scheme; write it as {DEFAULT_HOST}")
    if scheme.lower() == "unix":
        return _unix(text, rest)
    if scheme.lower() == "tcp":
        return _tcp(text, rest, tls)
    if scheme.lower() == "ssh":
        return _ssh(text, rest)
    raise _mistake(text, "begins with no scheme that is known here: use unix://, tcp:// or ssh://")


def shown(text: str) -> str:
    """An address as it may be shown: `tcp://user:password@host` is something people write."""
    return escaped(re.sub(r"//[^/]*:[^/]*@", "//", text), 120) or "(empty)"


def _unix(text: str, rest: str) -> Unix:
    if not rest.startswith("/"):
        raise _mistake(text, f"the socket's path must be absolute, as in {DEFAULT_HOST}")
    if "\0" in rest or len(rest.encode("utf-8", "surrogateescape")) > _PATH_LIMIT:
        raise _mistake(text, f"the socket's path must be at most {_PATH_LIMIT} bytes, without NUL; use a shorter link")
    return Unix(rest)


def _tcp(text: str, rest: str, tls: Certificates | None) -> Tcp:
    user, host, port, path = _parts(text, rest)
    if user or path.strip("/"):
        raise _mistake(text, "only a host and a port can stand there, as in tcp://192.0.2.1:2376")
    try:
        host = host_name(host)
    except ValueError:
        raise _mistake(text, "no host can be called so: a name has 1 to 63 characters between its dots") from None
    return Tcp(host, port or (TLS_PORT if tls else PLAIN_PORT), tls)


def _ssh(text: str, rest: str) -> Ssh:
    user, host, port, path = _parts(text, rest)
    if ":" in user:
        raise _mistake(text, "no password can be used, as nobody is there to type it: set up a key, leave it out")
    if user and not _USER.fullmatch(user):
        raise _mistake(text, "the user's name holds something that ssh could misunderstand")
    path = path.rstrip("/")
    if path and not _REMOTE_PATH.fullmatch(path):
        raise _mistake(text, "the path of the socket there may hold letters, digits and _ . - / only")
    return Ssh(host, user, port, path)


def _parts(text: str, rest: str) -> tuple[str, str, int, str]:
    """User (with a password, if there is one), host, port (0 for none), path."""
    # What is no printable word is refused here: urlsplit would leave it out in silence.
    if any(not "!" <= letter <= "~" for letter in rest):
        raise _mistake(text, "blanks, control characters and letters beyond ASCII can't be in it")
    try:
        split = urlsplit("//" + rest)
        host, port = split.hostname or "", split.port
    except ValueError:
        raise _mistake(text, "host and port can't be read; write them as host:port, [::1]:port") from None
    # As it was written: `hostname` makes it lower case, and names of ssh's own entries are not.
    user, _, place = split.netloc.rpartition("@")
    if not place.startswith("["):
        host = place.partition(":")[0]
    if split.query or split.fragment or not _HOST.fullmatch(host):
        raise _mistake(text, "there is no host that can be used; write it as tcp://host:port or ssh://user@host")
    if port == 0:
        raise _mistake(text, "port 0 is none")
    return user, host, port or 0, split.path


def _mistake(text: str, problem: str) -> DockerError:
    return DockerError(shown(text), problem)
