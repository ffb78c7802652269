"""What every client of an engine shares: an exchange that ends in time, and errors in words."""

from typing import Final, NamedTuple, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from tutumstream.errors import DockerError
from tutumstream.event import escaped
from tutumstream.gateway.docker.explain import explain, was_cancelled
from tutumstream.gateway.docker.transport import read_body

T = TypeVar("T")

ERROR_LIMIT: Final = 64 * 1024


class Answer(NamedTuple):
    """An answer with its whole body."""

    code: int
    headers: Headers
    body: bytes

    def said(self) -> str:
        """What the engine says, where that is an error; for one line of text."""
        return escaped(self.body[:200].decode("utf-8", "replace").strip(), 200)


def late(outcome: T | Failure, seconds: float) -> T:
    """For `addTimeout`: without this a timeout shows as whatever the Agent makes of being cancelled."""
    if isinstance(outcome, Failure):
        raise DeferredTimeoutError(seconds)
    return outcome


async def explained(host: str, exchange: Deferred[T], over_network: bool = False) -> T:
    """Its result; every error but a cancellation becomes a `DockerError`."""
    try:
        return await exchange
    except DockerError:
        raise
    except Exception as problem:
        if was_cancelled(problem):
            raise CancelledError from problem
        raise DockerError(host, explain(problem, over_network)) from problem


async def whole(
    host: str,
    clock: IReactorTime,
    asking: Deferred[IResponse],
    limit: int,
    seconds: float,
    over_network: bool = False,
) -> Answer:
    """The answer to a request, body and all, within so many seconds."""

    async def exchange() -> Answer:
        response = await asking
        return Answer(response.code, response.headers, await read_body(response, limit))

    timed = Deferred.fromCoroutine(exchange()).addTimeout(seconds, clock, late)
    return await explained(host, timed, over_network)
