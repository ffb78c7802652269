"""Looks resources up in the REST API, for templates. A look-up never holds a message back: it ends, and never fails.

The key that the service holds goes to one host only: the URI comes from the stream, so only what is plainly a resource
of the API is asked for, and redirects are not followed.
"""

import re
from dataclasses import dataclass
from typing import Final

import msgspec
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tutumstream.errors import ExchangeError
from tutumstream.net.address import Address
from tutumstream.net.http import Answer, HttpClient
from tutumstream.resources.cache import Cache, Resource

FRESH_FOR: Final = 5.0
"""Seconds that an answer is used again, a 404 too."""

FAILED_FOR: Final = 1.0
"""Seconds until a look-up that failed is tried again."""

SPARED_FOR: Final = 10.0
"""Seconds without any look-up after one that got no whole answer: an API that hangs must not cost every message its
patience."""

PATIENCE: Final = 5.0
"""Seconds that a look-up may take, its wait for a free place included."""

AT_ONCE: Final = 10
REMEMBERED: Final = 1000
ANSWER_LIMIT: Final = 1024 * 1024

_URI_LIMIT = 1000

# Tutum's URIs, and Docker Cloud's, which may name a namespace (protocol A12).
_RESOURCE_URI = re.compile(r"/api/(?:v1|(?:app|infra|audit)/v1(?:/[A-Za-z0-9_-]+)?)/[a-z]+/[A-Za-z0-9._/-]+/")


@dataclass(frozen=True, slots=True)
class LookUps:
    """How look-ups went so far.

    Attributes:
        found, missing, failed: answers of the API, by outcome; `missing` is 404.
        spared: answered from the cache, or by a request that was already under way.
        refused: URIs that are no resource's; nothing was sent.
    """

    found: int = 0
    missing: int = 0
    failed: int = 0
    spared: int = 0
    refused: int = 0


class _UnusableError(Exception):
    """The API answered with something else than a resource."""


class Resources:
    """The REST API's objects by their URIs.

    Args:
        http: how to speak.
        base_url: any URL of the API; only scheme, host and port count.
        authorization: the value of the `Authorization` header, None where the API wants none.
        clock: keeps the time.

    Raises:
        ValueError: `base_url` is no http or https URL.
    """

    log = Logger()

    def __init__(self, http: HttpClient, base_url: str, authorization: str | None, clock: IReactorTime) -> None:
        self._http = http
        self._origin = Address.parse(base_url).origin
        self._headers = {"Accept": "application/json"}
        if authorization is not None:
            self._headers["Authorization"] = authorization
        self._clock = clock
        self._cache: Cache[Resource | None] = Cache(REMEMBERED)
        self._places = DeferredSemaphore(AT_ONCE)
        self._queued: dict[Deferred[DeferredSemaphore], None] = {}
        self._waiting: dict[str, list[Deferred[Resource | None]]] = {}
        self._failing = False
        self._spared_until = 0.0
        self._counted = dict.fromkeys(("found", "missing", "failed", "spared", "refused"), 0)

    def __repr__(self) -> str:
        return f"<resources of {self._origin}>"

    @property
    def lookups(self) -> LookUps:
        """How they went so far."""
        return LookUps(**self._counted)

    def fetch(self, uri: str) -> Deferred[Resource | None]:
        """Look a resource up.

        Returns:
            Fires with the object; with None where there is none, where it can't be had within `PATIENCE` seconds, and
            where `uri` is no resource's.
        """
        if not is_resource_uri(uri):
            self._counted["refused"] += 1
            return succeed(None)
        entry = self._cache.get(uri, self._clock.seconds())
        if entry is not None:
            self._counted["spared"] += 1
            return succeed(entry.value)
        waiting: Deferred[Resource | None] = Deferred()
        if uri in self._waiting:
            self._counted["spared"] += 1
            self._waiting[uri].append(waiting)
            return waiting
        if self._clock.seconds() < self._spared_until:
            self._counted["spared"] += 1
            return succeed(None)
        waiters = self._waiting[uri] = [waiting]
        Deferred.fromCoroutine(self._look_up(uri, waiters)).addErrback(self._bug, uri, waiters)
        return waiting

    def forget(self, uri: str) -> None:
        """The object changed: the next look-up asks anew, and does not share one that is already under way."""
        self._cache.remove(uri)
        self._waiting.pop(uri, None)

    async def _look_up(self, uri: str, waiters: list[Deferred[Resource | None]]) -> None:
        # The wait for a place counts, too.
        asked: Deferred[Answer] = Deferred.fromCoroutine(self._ask_in_turn(uri))
        asked.addTimeout(PATIENCE, self._clock, self._too_late)
        try:
            found = _read(await asked)
        except CancelledError:
            self._counted["spared"] += 1
            self._tell(uri, waiters, None, FAILED_FOR)
        except (ExchangeError, _UnusableError) as problem:
            self._failed(problem)
            self._tell(uri, waiters, None, FAILED_FOR)
        else:
            self._answered(found)
            self._tell(uri, waiters, found, FRESH_FOR)

    async def _ask_in_turn(self, uri: str) -> Answer:
        place = self._places.acquire()
        self._queued[place] = None
        try:
            await place
        finally:
            del self._queued[place]
        try:
            return await self._ask(uri)
        except (ExchangeError, CancelledError):
            # Before the next gets its place: it would only meet the same trouble.
            self._spare()
            raise
        finally:
            self._places.release()

    def _spare(self) -> None:
        """Ask for nothing for a while, nor for what waits for a place."""
        self._spared_until = self._clock.seconds() + SPARED_FOR
        for place in tuple(self._queued):
            place.cancel()

    def _ask(self, uri: str) -> Deferred[Answer]:
        return self._http.exchange("GET", self._origin + uri, self._headers, timeout=PATIENCE, limit=ANSWER_LIMIT)

    def _too_late(self, _result: object, seconds: float) -> Answer:
        raise ExchangeError(self._origin, f"no whole answer within {seconds:g} s")

    def _answered(self, found: Resource | None) -> None:
        if self._failing:
            self._failing = False
            self.log.info("look-ups at {origin} work again", origin=self._origin)
        if found is None:
            self._counted["missing"] += 1
        else:
            self._counted["found"] += 1

    def _failed(self, problem: Exception) -> None:
        if isinstance(problem, ExchangeError):
            self._spare()
        reason = problem.problem if isinstance(problem, ExchangeError) else str(problem)
        if self._failing:
            self.log.debug("look-up at {origin} failed: {reason}", origin=self._origin, reason=reason)
        else:
            self._failing = True
            self.log.warn(
                "look-ups at {origin} fail ({reason}); messages are told without what they would have shown",
                origin=self._origin,
                reason=reason,
            )
        self._counted["failed"] += 1

    def _bug(self, failure: Failure, uri: str, waiters: list[Deferred[Resource | None]]) -> None:
        self.log.failure("a look-up ended with a bug", failure)
        self._tell(uri, waiters, None, FAILED_FOR)

    def _tell(
        self, uri: str, waiters: list[Deferred[Resource | None]], found: Resource | None, fresh_for: float
    ) -> None:
        if self._waiting.get(uri) is waiters:
            # Else the object changed since it was asked for: good enough for those who waited, and for nobody else.
            del self._waiting[uri]
            self._cache.put(uri, found, self._clock.seconds() + fresh_for)
        for waiting in waiters:
            waiting.callback(found)


def is_resource_uri(uri: str) -> bool:
    """Whether this is a path of the API that can only mean one of its objects."""
    return len(uri) <= _URI_LIMIT and ".." not in uri and _RESOURCE_URI.fullmatch(uri) is not None


def _read(answer: Answer) -> Resource | None:
    """The object, None for a 404, which is final."""
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise _UnusableError(f"it answered {answer.status}")
    if not answer.whole:
        raise _UnusableError(f"its answer is longer than {ANSWER_LIMIT} bytes")
    try:
        found = msgspec.json.decode(answer.body)
    except (ValueError, RecursionError):
        raise _UnusableError("its answer is not JSON") from None
    if not isinstance(found, dict):
        raise _UnusableError("its answer is not a JSON object")
    return found
