"""Where the engine is: `DOCKER_HOST`, read before anything is dialled."""

import re
from typing import Final

from tutumstream.errors import DockerError
from tutumstream.event import escaped

DEFAULT_HOST: Final = "unix:///var/run/docker.sock"

_PATH_LIMIT: Final = 107
"""Bytes that fit into `sun_path` with its final NUL (unix(7))."""

_FORWARD: Final = (
    "forward its socket, for example with `ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock HOST`, "
    "and set DOCKER_HOST=unix:///tmp/docker.sock"
)


def parse_docker_host(text: str) -> str:
    """The path of the UNIX socket that a value of `DOCKER_HOST` names.

    Raises:
        DockerError: it names none; the text says how to write it.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise _mistake(text, f"has no scheme; write it as {DEFAULT_HOST}")
    if scheme.lower() != "unix":
        raise _mistake(text, f"only unix:// sockets can be used so far. For an engine elsewhere {_FORWARD}")
    if not rest.startswith("/"):
        raise _mistake(text, f"the socket's path must be absolute, as in {DEFAULT_HOST}")
    if "\0" in rest or len(rest.encode("utf-8", "surrogateescape")) > _PATH_LIMIT:
        raise _mistake(text, f"the socket's path must be at most {_PATH_LIMIT} bytes, without NUL; use a shorter link")
    return rest


def _mistake(text: str, problem: str) -> DockerError:
    # `tcp://user:password@host` is something people write.
    return DockerError(escaped(re.sub(r"//[^/]*@", "//", text), 120) or "(DOCKER_HOST is empty)", problem)
