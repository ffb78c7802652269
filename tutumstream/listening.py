"""`--listen`: an endpoint in Twisted's words, and what is wrong with it in ours."""

import re
from collections.abc import Callable
from typing import Any, Final

from OpenSSL import crypto
from twisted.internet.error import CannotListenError

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


def words(problem: BaseException) -> str:
    """Why it can't be listened there."""
    if isinstance(problem, CannotListenError):
        cause: Any = problem.socketError
        place = f"{problem.interface}:{problem.port}" if isinstance(problem.port, int) else problem.interface
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
