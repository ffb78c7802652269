"""The operators' API, JSON under `/api/v1/`: what the `tutumstream` command and the page use.

    GET  /api/v1/dead-letters/?destination=&cause=&before=&limit=   a `Page`, the newest first
    GET  /api/v1/dead-letters/find/?destination=&cause=&before=     `Found`: the seqs of all that are meant
    GET  /api/v1/dead-letters/<id>/                                 a `Shown`, or 404
    POST /api/v1/dead-letters/retry/                                `Chosen`, answered with a `Step`
    POST /api/v1/dead-letters/drop/                                 the same

Each request does a bounded part: `next` says where the next one goes on, and all that are found are changed a part at a
time. What went wrong is `{"error": "…"}`.

Klein imports the global reactor: import this late.
"""

from typing import Any, TypeVar, cast

import msgspec
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request
from werkzeug.exceptions import HTTPException

from tutumstream.errors import JournalError
from tutumstream.operators.access import MARK, Asked, refusal
from tutumstream.operators.letters import Chosen, Filter, Listing
from tutumstream.operators.office import Office

T = TypeVar("T")


class OperatorsResource(Resource):
    """What stands under `/api/v1/`: checks who asks, then lets Klein find what is asked for.

    Args:
        office: does it.
    """

    isLeaf = True

    def __init__(self, office: Office) -> None:
        super().__init__()
        self._routes = Routes(office).app.resource()

    def render(self, request: Request) -> bytes | int:
        """Refuse what must be refused, tidy the path, pass on."""
        refused = refusal(
            Asked(
                method=request.method.decode("ascii", "replace"),
                host=_header(request, "host"),
                origin=_header(request, "origin"),
                marked=_header(request, MARK) is not None,
                content_type=_header(request, "content-type"),
                address=str(getattr(request.getHost(), "host", "")),
            )
        )
        if refused is not None:
            return _failed(request, refused.status, refused.problem)
        # With or without the last slash.
        request.postpath = [*(segment for segment in request.postpath or [] if segment), b""]
        return cast(bytes | int, self._routes.render(cast(Any, request)))


class Routes:
    """The paths. Klein's decorators belong to an instance, so that two services can live in one process."""

    _log = Logger()

    def __init__(self, office: Office) -> None:
        self._office = office
        self.app = Klein()
        self.app.route("/dead-letters/", methods=["GET"])(self._list)
        self.app.route("/dead-letters/find/", methods=["GET"])(self._find)
        self.app.route("/dead-letters/retry/", methods=["POST"])(self._retry)
        self.app.route("/dead-letters/drop/", methods=["POST"])(self._drop)
        self.app.route("/dead-letters/<string:letter_id>/", methods=["GET"])(self._show)
        self.app.handle_errors(msgspec.ValidationError, msgspec.DecodeError)(cast(Any, self._mistaken))
        self.app.handle_errors(JournalError)(cast(Any, self._journal_refused))
        self.app.handle_errors(HTTPException)(cast(Any, self._unrouted))
        self.app.handle_errors(Exception)(cast(Any, self._bug))

    def _list(self, request: Request) -> Deferred[bytes]:
        return _answer(request, self._office.page(_query(request, Listing)))

    def _find(self, request: Request) -> Deferred[bytes]:
        return _answer(request, self._office.find(_query(request, Filter)))

    def _retry(self, request: Request) -> Deferred[bytes]:
        return _answer(request, self._office.retry(_body(request)))

    def _drop(self, request: Request) -> Deferred[bytes]:
        return _answer(request, self._office.drop(_body(request)))

    def _show(self, request: Request, letter_id: str) -> Deferred[bytes]:
        def answer(shown: object) -> bytes:
            if shown is None:
                return _failed(request, 404, f"there is no dead letter {letter_id}")
            return _answered(request, shown)

        return self._office.show(letter_id).addCallback(answer)

    def _mistaken(self, request: Request, failure: Failure) -> bytes:
        return _failed(request, 400, str(failure.value))

    def _journal_refused(self, request: Request, failure: Failure) -> bytes:
        return _failed(request, 503, str(failure.value))

    def _unrouted(self, request: Request, failure: Failure) -> bytes:
        problem = failure.value
        code = problem.code if isinstance(problem, HTTPException) and problem.code else 404
        words = "there is nothing here" if code == 404 else "this path does not take that method"
        return _failed(request, code, words)

    def _bug(self, request: Request, failure: Failure) -> bytes:
        self._log.failure("a bug: {path} could not be answered", failure=failure, path=request.path)
        return _failed(request, 500, "the service failed; its log says why")


def _header(request: Request, name: str) -> str | None:
    value = request.getHeader(name.encode())
    return None if value is None else value.decode("utf-8", "replace")


def _query(request: Request, shape: type[T]) -> T:
    given = {
        name.decode("utf-8", "replace"): values[-1].decode("utf-8", "replace")
        for name, values in (request.args or {}).items()
    }
    # An empty value is one that was not given, as a form sends it.
    return msgspec.convert({name: value for name, value in given.items() if value}, shape, strict=False)


def _body(request: Request) -> Chosen:
    return msgspec.json.decode(cast(Any, request.content).read(), type=Chosen)


def _answer(request: Request, result: Deferred[T]) -> Deferred[bytes]:
    return result.addCallback(lambda found: _answered(request, found))


def _failed(request: Request, code: int, problem: str) -> bytes:
    request.setResponseCode(code)
    return _answered(request, {"error": problem})


def _answered(request: Request, body: object) -> bytes:
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"x-content-type-options", b"nosniff")
    return msgspec.json.encode(body) + b"\n"
