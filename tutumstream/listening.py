"""`--listen`: an endpoint in Twisted's words, what is wrong with it in ours, and what a killed service left of it."""

import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from socket import AF_UNIX, socket
from typing import Any, Final

from OpenSSL import crypto
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from zope.interface import implementer

from tutumstream.whereabouts import LISTEN

REFUSALS: Final = (CannotListenError, OSError, OverflowError)
"""What an endpoint raises where it can't listen; the last for a backlog or a mode that no system takes."""

_PORT: Final = re.compile(r"(?:tcp6?|ssl):(?:port=)?0*(-?[0-9]+)")


def problem_with(text: str, parse: Callable[[str], object], example: str = LISTEN) -> str:
    """Why nothing could listen there, "" where nothing is known to be wrong.

    Args:
        text: the endpoint.
        parse: as `twisted.internet.endpoints.serverFromString`; opens keys and certificates, too.
        example: an endpoint to suggest where this is none.
    """
    port = _PORT.match(text)
    # Python reads no number of thousands of digits.
    if port and (len(port[1]) > 5 or not 0 <= int(port[1]) <= 65535):
        return f"there is no port {port[1]}, they end at 65535"
    try:
        parse(text)
    except (ValueError, TypeError) as problem:
        return f"not an endpoint ({words(problem)}); {example} is one"
    except LookupError:  # an index or a name
        return "systemd hands over no such socket: start it by a socket unit"
    except Exception as problem:  # each kind of endpoint has errors of its own
        return f"it can't be used: {words(problem)}"
    return ""


def server(reactor: Any, text: str) -> IStreamServerEndpoint:
    """The endpoint itself; of UNIX sockets one that a killed service's socket is not in the way of."""
    endpoint: IStreamServerEndpoint = serverFromString(reactor, text)
    return _Swept(endpoint) if isinstance(endpoint, UNIXServerEndpoint) else endpoint


@implementer(IStreamServerEndpoint)
class _Swept:
    """Beside a UNIX socket lies a lock with the number of its process. Twisted takes it for good while any process has
    that number; in a container the next one always has."""

    def __init__(self, endpoint: UNIXServerEndpoint) -> None:
        self._endpoint = endpoint

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        _sweep(self._endpoint._address)
        listening: Deferred[IListeningPort] = self._endpoint.listen(factory)
        return listening


def _sweep(path: str) -> None:
    """Remove a UNIX socket at which nobody listens, and its lock."""
    with socket(AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            lock = f"{path}.lock"
            with suppress(OSError):
                # Twisted's is a link to a number; any other file of that name is not ours.
                if os.readlink(lock).isdecimal():
                    os.unlink(lock)
            with suppress(OSError):
                if stat.S_ISSOCK(os.stat(path).st_mode):
                    os.unlink(path)
        except OSError:
            # Somebody is busy, or it can't be looked at: that is told when it can't be listened there.
            return


def words(problem: BaseException) -> str:
    """Why it can't be listened there."""
    if isinstance(problem, CannotListenError):
        cause: Any = problem.socketError
        # Of a UNIX socket the port is its path.
        tcp = isinstance(problem.port, int)
        place = f"{problem.interface}:{problem.port}" if tcp else os.fsdecode(problem.port)
        return f"{_of_system(cause)}: {place}"
    if isinstance(problem, OSError):
        return _of_system(problem)
    if isinstance(problem, OverflowError):
        return "a number in it is too large"
    if isinstance(problem, crypto.Error):
        return "key or certificate is broken, or not in PEM form"
    return str(problem) or type(problem).__name__


def _of_system(problem: Any) -> str:
    # Of two names the last is the one that was asked for: a lock is a link from another.
    name = getattr(problem, "filename2", None) or getattr(problem, "filename", None)
    said = getattr(problem, "strerror", None) or str(problem)
    if isinstance(name, bytes):
        name = name.decode("utf-8", "replace")
    return f"{said}: {name}" if name else said
