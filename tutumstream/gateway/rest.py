"""The REST API: what the platform knows, in Tutum's form or Docker Cloud's (protocol B), and what it can do."""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import Request

from tutumstream.gateway.answering import answered, asked, failed, when
from tutumstream.gateway.concealment import NOTHING, Concealment
from tutumstream.gateway.dialect import Dialect, Wanted, segments, wanted
from tutumstream.gateway.gate import Gate, Granted, Refused
from tutumstream.gateway.listing import COLLECTIONS, NAMED, BadNumberError, Page, page
from tutumstream.gateway.orders import check, order
from tutumstream.gateway.platform import IPlatform, Order, OrderError, Taken
from tutumstream.gateway.platform import Resource as Shown
from tutumstream.gateway.settings import Permission
from tutumstream.gateway.upgrade import refused

READ_ONLY: Final = "this gateway is read-only: only GET is served here; its operator can allow control"
_CLOUD_URI: Final = re.compile(r"/api/(?:app|infra|audit)/v1/")
_NOWHERE: Final = "there is nothing here; objects are under /api/v1/<type>/<uuid>/"


class RestResource(Resource):
    """Everything but the streams: checks who asks, then finds what is asked for.

    Args:
        platform: has the objects.
        gate: says who may see them.
        allow: whether they may be changed, too.
        conceal: what of them is left out.
    """

    isLeaf = True
    _log = Logger()

    def __init__(
        self,
        platform: IPlatform,
        gate: Gate,
        allow: frozenset[Permission] = frozenset(),
        conceal: Concealment = NOTHING,
    ) -> None:
        super().__init__()
        self._platform = platform
        self._gate = gate
        self._allow = allow
        self._conceal = conceal

    def render(self, request: Request) -> bytes | int:
        """Refuse what must be refused, answer the rest."""
        return when(self._gate.judge(asked(request)), request, lambda judged: self._judged(request, judged))

    def _judged(self, request: Request, judged: Granted | Refused) -> bytes | int:
        if isinstance(judged, Refused):
            return refused(request, judged)
        try:
            path = [unquote_to_bytes(segment).decode() for segment in segments(request.path)]
        except UnicodeDecodeError:
            return failed(request, 400, "the path must be UTF-8")
        found = wanted(path, NAMED)
        if request.method in (b"GET", b"HEAD"):
            return self._look_up(request, found)
        if "control" not in self._allow:
            request.setHeader(b"allow", b"GET, HEAD")
            return failed(request, 405, READ_ONLY)
        return self._ordered(request, found, judged.user)

    def _look_up(self, request: Request, found: Wanted | None) -> bytes | int:
        if found is not None and (found.kind, found.rest) == ("service", "trigger"):
            # A trigger would be a way in without credentials: there are none.
            return answered(request, page("trigger", [], {}, self._find))
        if found is None or found.rest:
            return failed(request, 404, _NOWHERE)
        if found.kind == "auth" and not found.dialect.cloud:
            # An object, as the CLI wants before every command (protocol B1). The key is not repeated.
            return answered(request, {"meta": {"total_count": 0}, "objects": []})
        show = self._detail if found.key else self._list
        return when(self._platform.caught_up(found.kind, found.key), request, lambda _: show(request, found))

    def _list(self, request: Request, found: Wanted) -> bytes:
        if found.kind not in COLLECTIONS:
            return failed(request, 404, f"there is no collection {found.kind!r}")
        if not self._platform.synced:
            return self._unsynced(request)
        query = {
            name.decode("utf-8", "replace"): values[0].decode("utf-8", "replace")
            for name, values in (request.args or {}).items()
        }
        dialect = found.dialect
        place = dialect.collection(found.kind)
        try:
            shown = page(found.kind, self._platform.list(found.kind), _in_tutums_words(query), self._find, place)
        except BadNumberError as mistake:
            return failed(request, 400, str(mistake))
        return answered(
            request, Page(meta=shown.meta, objects=[dialect.resource(self._conceal(one)) for one in shown.objects])
        )

    def _detail(self, request: Request, found: Wanted) -> bytes:
        if not self._platform.synced:
            return self._unsynced(request)
        resource = self._platform.get(found.kind, found.key)
        if resource is None:
            return failed(request, 404, f"there is no {found.kind} {found.key!r}")
        return answered(request, found.dialect.resource(self._conceal(resource)))

    def _ordered(self, request: Request, found: Wanted | None, user: str) -> bytes | int:
        if found is None:
            return failed(request, 404, _NOWHERE)
        if not self._platform.synced:
            return self._unsynced(request)
        try:
            wants = self._order(request, found)
        except OrderError as problem:
            return self._refused(request, user, problem)
        self._log.info(
            "{user} at {address} asks {kind} {uuid} to {verb}",
            user=user,
            address=wants.address,
            kind=wants.kind,
            uuid=wants.uuid,
            verb=wants.verb,
        )
        taking = Deferred.fromCoroutine(_caught(self._platform.perform(wants)))
        return when(taking, request, lambda taken: self._told(request, found.dialect, user, taken))

    def _told(self, request: Request, dialect: Dialect, user: str, taken: Taken | OrderError) -> bytes:
        if isinstance(taken, OrderError):
            return self._refused(request, user, taken)
        request.setResponseCode(202)
        request.setHeader(dialect.action_header, dialect.uri(taken.action).encode())
        return answered(request, dialect.resource(self._conceal(taken.resource)))

    def _refused(self, request: Request, user: str, problem: OrderError) -> bytes:
        self._log.info(
            "{user} at {address} is refused {method} {path} ({status}): {problem}",
            user=user,
            address=asked(request).address,
            method=request.method.decode("latin-1"),
            path=_path(request),
            status=problem.status,
            problem=str(problem),
        )
        return failed(request, problem.status, str(problem))

    def _order(self, request: Request, found: Wanted) -> Order:
        wants = order(
            request.method.decode("latin-1"),
            found.kind,
            found.key,
            found.rest,
            request.content.read() if request.content is not None else b"",
            path=_path(request),
            address=asked(request).address,
            user_agent=(request.getHeader(b"user-agent") or b"").decode("latin-1")[:200],
        )
        check(wants, self._platform.get(wants.kind, wants.uuid))
        return wants

    def _find(self, uri: str) -> Shown | None:
        parts = uri.strip("/").split("/")
        if len(parts) != 4 or parts[:2] != ["api", "v1"]:
            return None
        return self._platform.get(parts[2], parts[3])

    def _unsynced(self, request: Request) -> bytes:
        request.setHeader(b"retry-after", b"2")
        return failed(request, 503, "the gateway does not know its objects yet")


async def _caught(taking: Deferred[Taken]) -> Taken | OrderError:
    try:
        return await taking
    except OrderError as problem:
        return problem


def _path(request: Request) -> str:
    return request.path.decode("latin-1")[:200]


def _in_tutums_words(query: dict[str, str]) -> dict[str, str]:
    """Docker Cloud's clients filter by URIs of their own form; a uuid alone means the same."""
    return {
        name: value.rstrip("/").rpartition("/")[2] if _CLOUD_URI.match(value) else value
        for name, value in query.items()
    }
