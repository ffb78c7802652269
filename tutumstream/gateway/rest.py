"""The REST API: what the platform knows, in Tutum's form (protocol B), to read only.

This is the one module of the gateway that imports Klein, and with it the global reactor: import it late.
"""

from math import ceil
from typing import Any, Final, cast

import msgspec
from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import Request
from werkzeug.exceptions import HTTPException

from tutumstream.gateway.access import Access, presented
from tutumstream.gateway.failures import FailureLimit
from tutumstream.gateway.listing import COLLECTIONS, BadNumberError, page
from tutumstream.gateway.platform import IPlatform
from tutumstream.gateway.platform import Resource as Shown

READ_ONLY: Final = "this gateway is read-only: only GET is served here"
API: Final = ("api", "v1")


def failed(request: Request, code: int, problem: str) -> bytes:
    """Answer with an error in Tutum's form (protocol B3)."""
    request.setResponseCode(code)
    return answered(request, {"error": problem})


def answered(request: Request, body: object) -> bytes:
    """Answer with JSON."""
    request.setHeader(b"content-type", b"application/json")
    # What is shown changes all the time and is for one account only.
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"x-content-type-options", b"nosniff")
    return msgspec.json.encode(body)


class RestResource(Resource):
    """Everything but the Stream: checks who asks, then lets Klein find what is asked for.

    Args:
        platform: has the objects.
        access: says who may see them.
        clock: for counting failed logins.
    """

    isLeaf = True

    def __init__(self, platform: IPlatform, access: Access, clock: IReactorTime) -> None:
        super().__init__()
        self._access = access
        self._clock = clock
        self._failures = FailureLimit()
        self._routes = Routes(platform).app.resource()

    def render(self, request: Request) -> bytes | int:
        """Refuse what must be refused, tidy the path, pass on."""
        if not self._allowed(request):
            return self._refused(request)
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"allow", b"GET, HEAD")
            return failed(request, 405, READ_ONLY)
        if not _readable(request):
            return failed(request, 400, "the path and the host must be UTF-8")
        # With or without the last slash, and with doubled ones (protocol A1): all mean the same.
        request.prepath = []
        request.postpath = [*(segment for segment in request.postpath or [] if segment), b""]
        return cast(bytes | int, self._routes.render(cast(IRequest, request)))

    def _allowed(self, request: Request) -> bool:
        shown = presented(request.getHeader(b"authorization"), request.args or {})
        address, user = _host(request), shown.user if shown else b""
        if self._failures.wait(address, user, self._clock.seconds()) > 0:
            return False
        if self._access.granted(shown) is not None:
            return True
        self._failures.failed(address, user, self._clock.seconds())
        return False

    def _refused(self, request: Request) -> bytes:
        shown = presented(request.getHeader(b"authorization"), request.args or {})
        wait = self._failures.wait(_host(request), shown.user if shown else b"", self._clock.seconds())
        if wait > 0:
            request.setHeader(b"retry-after", b"%d" % ceil(wait))
            return failed(request, 429, "too many requests with wrong credentials: wait, then check user and API key")
        request.setHeader(b"www-authenticate", b'Basic realm="Tutum"')
        return failed(request, 401, "wrong or missing user and API key")


def _readable(request: Request) -> bool:
    # Klein would log the rest as errors of its own.
    try:
        b"/".join([*(request.postpath or []), request.getHeader(b"host") or b""]).decode()
    except UnicodeDecodeError:
        return False
    return True


def _host(request: Request) -> str:
    # A UNIX socket's peer has no host; all of them are one.
    return str(getattr(request.getClientAddress(), "host", ""))


class Routes:
    """The paths of the API. Klein's decorators belong to an instance, so that two gateways can live in one process."""

    _log = Logger()

    def __init__(self, platform: IPlatform) -> None:
        self._platform = platform
        self.app = Klein()
        self.app.route("/api/v1/auth/", methods=["GET"])(self._auth)
        self.app.route("/api/v1/<string:kind>/", methods=["GET"])(self._list)
        self.app.route("/api/v1/<string:kind>/<path:key>/", methods=["GET"])(self._detail)
        self.app.handle_errors(HTTPException)(cast(Any, self._unrouted))
        self.app.handle_errors(Exception)(cast(Any, self._bug))

    def _auth(self, request: Request) -> bytes:
        """An object, as the CLI wants before every command (protocol B1). The key is not repeated."""
        return answered(request, {"meta": {"total_count": 0}, "objects": []})

    def _list(self, request: Request, kind: str) -> bytes:
        if kind not in COLLECTIONS:
            return failed(request, 404, f"there is no collection {kind!r}")
        if not self._platform.synced:
            return self._unsynced(request)
        query = {
            name.decode("utf-8", "replace"): values[0].decode("utf-8", "replace")
            for name, values in (request.args or {}).items()
        }
        try:
            return answered(request, page(kind, self._platform.list(kind), query, self._find))
        except BadNumberError as mistake:
            return failed(request, 400, str(mistake))

    def _detail(self, request: Request, kind: str, key: str) -> bytes:
        if not self._platform.synced:
            return self._unsynced(request)
        resource = self._platform.get(kind, key)
        if resource is None:
            return failed(request, 404, f"there is no {kind} {key!r}")
        return answered(request, resource)

    def _find(self, uri: str) -> Shown | None:
        segments = uri.strip("/").split("/")
        if len(segments) != 4 or tuple(segments[:2]) != API:
            return None
        return self._platform.get(segments[2], segments[3])

    def _unsynced(self, request: Request) -> bytes:
        request.setHeader(b"retry-after", b"2")
        return failed(request, 503, "the gateway does not know its objects yet")

    def _unrouted(self, request: Request, failure: Failure) -> bytes:
        problem = failure.value
        code = problem.code if isinstance(problem, HTTPException) and problem.code else 404
        return failed(request, code, "there is nothing here; objects are under /api/v1/<type>/<uuid>/")

    def _bug(self, request: Request, failure: Failure) -> bytes:
        self._log.failure("The REST API failed to answer {path}", failure=failure, path=request.path)
        return failed(request, 500, "the gateway failed; its log says why")
