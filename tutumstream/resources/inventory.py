"""All objects of the platform, listed over the REST API: page by page, as politely as it takes, and complete.

Who takes a list for complete that is not tells of objects as gone that are there. So nothing is passed over: what fails
is asked again until it works; pages overlap by one object, and where they don't fit the whole list is read again.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from tutumstream.backoff import Backoff, Jitter
from tutumstream.docker_details import DockerDetails, read_details
from tutumstream.errors import ExchangeError
from tutumstream.event import LISTED_TYPES
from tutumstream.net.address import Address
from tutumstream.net.http import Answer, Exchanges
from tutumstream.net.retry_after import retry_after
from tutumstream.resources.client import is_resource_uri

T = TypeVar("T")

PAGE: Final = 100
"""Objects that are asked for at once; the server may give fewer."""

PAGE_BYTES: Final = 16 * 1024 * 1024
"""A page that is longer is asked for in smaller ones."""

PATIENCE: Final = 30.0
"""Seconds for one page."""

PASSES: Final = 3
"""So often a list is read where objects vanish while it is; after that, what was seen in any of the passes counts."""

MOST: Final = 100_000
"""Objects of one type."""

AT_ONCE: Final = 5
"""Single objects that are looked up at the same time."""

AGAIN: Final = Backoff(base=1.0, cap=30.0)
REFUSED: Final = Backoff(base=60.0, cap=3600.0)
"""For answers that do not get better by asking often."""


class Listed(msgspec.Struct, frozen=True):
    """One object as a list shows it.

    Attributes:
        state: "" where the server does not say.
        belongs_to: URIs of what it is a part of, as far as the object itself names them, in the order of protocol A7.
        docker: what Docker knows of it; None where the server does not say.
    """

    uri: str
    type: str
    state: str
    belongs_to: tuple[str, ...] = ()
    docker: DockerDetails | None = None


class Inventory(msgspec.Struct, frozen=True):
    """What there is.

    Attributes:
        objects: by URI.
        types: those that the server lists; of others nothing is known.
    """

    objects: Mapping[str, Listed]
    types: frozenset[str]


class _UnusableError(Exception):
    """The server answered with something else than what was asked for; asking again soon is no use."""


class _TooLongError(Exception):
    """The page was cut off."""


_NOTHING: Final = msgspec.Raw()


class _Object(msgspec.Struct):
    resource_uri: str = ""
    uuid: str = ""
    state: Any = None
    service: Any = None
    node: Any = None
    stack: Any = None
    node_cluster: Any = None
    docker: msgspec.Raw = _NOTHING


class _Meta(msgspec.Struct):
    next: Any = None


class _Page(msgspec.Struct):
    objects: list[_Object]
    meta: _Meta | None = None


_page = msgspec.json.Decoder(_Page)
_object = msgspec.json.Decoder(_Object)


class Lister:
    """Reads the lists of one server.

    Args:
        http: how to speak.
        base_url: any URL of the API; only scheme, host and port count.
        paths: of the collections, by type; see `collections`.
        authorization: the value of the `Authorization` header.
        clock: for waiting.
        now: seconds since 1970.
        jitter: 0.0 up to 1.0.

    Attributes:
        trouble: called with a reason, in words, each time that something has to be asked for again.
    """

    trouble: Callable[[str], None] = staticmethod(lambda _: None)

    def __init__(
        self,
        http: Exchanges,
        base_url: str,
        paths: Mapping[str, str],
        authorization: str,
        clock: IReactorTime,
        now: Callable[[], float],
        jitter: Jitter,
    ) -> None:
        self._http = http
        self._origin = Address.parse(base_url).origin
        self._paths = paths
        self._headers = {"Accept": "application/json", "Authorization": authorization}
        self._clock = clock
        self._now = now
        self._jitter = jitter

    def __repr__(self) -> str:
        return f"<lists of {self._origin}>"

    def take_stock(self) -> Deferred[Inventory]:
        """All objects of all types. Tries for as long as it takes; cancel it to end that."""
        return Deferred.fromCoroutine(self._take_stock())

    def look(self, uris: Sequence[str]) -> Deferred[dict[str, Listed]]:
        """These objects one by one; those that are not there are left out. As patient as `take_stock`."""
        return Deferred.fromCoroutine(self._look(uris))

    async def _take_stock(self) -> Inventory:
        found: dict[str, Listed] = {}
        types = set()
        for kind, path in self._paths.items():
            listed = await self._list(kind, path)
            if listed is not None:
                types.add(kind)
                found |= listed
        return Inventory(found, frozenset(types))

    async def _look(self, uris: Sequence[str]) -> dict[str, Listed]:
        asked = [uri for uri in uris if is_resource_uri(uri)]
        found: dict[str, Listed] = {}
        for start in range(0, len(asked), AT_ONCE):
            some = [Deferred.fromCoroutine(self._one(uri)) for uri in asked[start : start + AT_ONCE]]
            try:
                answers = await gatherResults(some, consumeErrors=True)
            except FirstError as first:
                # Which of them it was is nobody's business, least of all when all were cancelled.
                first.subFailure.raiseException()
            found |= {each.uri: each for each in answers if each is not None}
        return found

    async def _one(self, uri: str) -> Listed | None:
        return await self._ask(uri, partial(_single, uri=uri))

    async def _list(self, kind: str, path: str) -> dict[str, Listed] | None:
        """All of one type; None where the server has no such list."""
        found: dict[str, Listed] = {}
        for _ in range(PASSES):
            fits = await self._pass(kind, path, found)
            if fits is None:
                return None
            if fits:
                break
        return found

    async def _pass(self, kind: str, path: str, found: dict[str, Listed]) -> bool | None:
        """From the first page to the last; whether the pages fitted together."""
        offset, size, last, fits = 0, PAGE, "", True
        seen: set[str] = set()
        while True:
            try:
                read = partial(_several, kind=kind, path=path, smallest=size == 1)
                listed = await self._ask(f"{path}?limit={size}&offset={offset}", read)
            except _TooLongError:
                size = max(1, size // 4)
                continue
            if listed is None:
                return None
            objects, more = listed
            fits = fits and (not last or not objects or objects[0].uri == last)
            before = len(seen)
            seen.update(each.uri for each in objects)
            found.update({each.uri: each for each in objects})
            if not more or len(seen) == before:
                # A page without anything new although there should be more: they were moved while it was read.
                return fits and not more
            if len(found) > MOST:
                await self._pause(f"it lists more than {MOST} objects of type {kind}", 1, REFUSED)
                return False
            # With the last object of this page once more, by which to see whether the next one fits.
            step = len(objects) - 1 if len(objects) > 1 else 1
            offset, last = offset + step, objects[-1].uri if len(objects) > 1 else ""

    async def _ask(self, path: str, read: Callable[[Answer], T]) -> T | None:
        """What is there, None for a 404; asked for again and again until it is one of the two."""
        failures = 0
        while True:
            wait, backoff = 0.0, AGAIN
            try:
                answer = await self._http.exchange(
                    "GET", self._origin + path, self._headers, timeout=PATIENCE, limit=PAGE_BYTES
                )
                if answer.status == 404:
                    return None
                if answer.status == 200:
                    return read(answer)
                reason = f"it answered {answer.status}"
                wait = retry_after(answer.headers.get("retry-after"), self._now()) or 0.0
                if answer.status not in (408, 425, 429) and answer.status < 500:
                    backoff = REFUSED
            except ExchangeError as problem:
                reason = problem.problem
            except _UnusableError as problem:
                reason, backoff = str(problem), REFUSED
            failures += 1
            await self._pause(reason, failures, backoff, wait)

    async def _pause(self, reason: str, failures: int, backoff: Backoff, at_least: float = 0.0) -> None:
        self.trouble(reason)
        await deferLater(self._clock, max(at_least, backoff.after(failures, self._jitter)), lambda: None)


def collections(events_url: str) -> dict[str, str]:
    """Where a server lists its objects, by type: as Tutum does, or as Docker Cloud, by the path of its stream (A12)."""
    path = events_url.partition("://")[2].partition("?")[0]
    _, cloud, rest = path.partition("/api/audit/v1/")
    if not cloud:
        return {kind: f"/api/v1/{kind}/" for kind in LISTED_TYPES}
    namespace = rest.removesuffix("events").removesuffix("/").strip("/")
    inside = f"{namespace}/" if namespace else ""
    return {
        kind: f"/api/{'infra' if kind in ('node', 'nodecluster') else 'app'}/v1/{inside}{kind}/"
        for kind in LISTED_TYPES
    }


def _several(answer: Answer, kind: str, path: str, smallest: bool) -> tuple[list[Listed], bool]:
    """The objects of a page, and whether there are more."""
    if not answer.whole and not smallest:
        raise _TooLongError
    page = _read(answer, _page)
    listed = [_listed(each, kind, each.resource_uri or f"{path}{each.uuid}/") for each in page.objects]
    if any(each.uri == f"{path}/" for each in listed):
        raise _UnusableError("its list shows an object without resource_uri and uuid")
    return listed, page.meta is not None and bool(page.meta.next)


def _single(answer: Answer, uri: str) -> Listed:
    return _listed(_read(answer, _object), uri.rstrip("/").rsplit("/", 2)[1], uri)


def _read(answer: Answer, decoder: msgspec.json.Decoder[Any]) -> Any:
    if not answer.whole:
        raise _UnusableError(f"one of its objects is longer than {PAGE_BYTES} bytes")
    try:
        return decoder.decode(answer.body)
    except (ValueError, RecursionError):
        raise _UnusableError("its answer is not what Tutum's API gives") from None


def _listed(shown: _Object, kind: str, uri: str) -> Listed:
    named = (shown.service, shown.node, shown.stack, shown.node_cluster)
    belongs_to = tuple(uri for uri in named if isinstance(uri, str) and uri)
    docker = None if shown.docker is _NOTHING else read_details(shown.docker)
    return Listed(uri, kind, shown.state if isinstance(shown.state, str) else "", belongs_to, docker)
