"""How a request is answered: JSON in Tutum's form, now or when it is known what to say."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET, Request

from tutumstream.gateway.gate import Asked

T = TypeVar("T")

_log = Logger()


def answered(request: Request, body: object) -> bytes:
    """Answer with JSON."""
    request.setHeader(b"content-type", b"application/json")
    # What is shown changes all the time and is for one account only.
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"x-content-type-options", b"nosniff")
    return msgspec.json.encode(body)


def failed(request: Request, code: int, problem: str) -> bytes:
    """Answer with an error in Tutum's form (protocol B3)."""
    request.setResponseCode(code)
    return answered(request, {"error": problem})


def asked(request: Request) -> Asked:
    """What a request says of its sender."""
    return Asked(
        authorization=request.getHeader(b"authorization"),
        query=request.args or {},
        # A UNIX socket's peer has no host; all of them are one.
        address=str(getattr(request.getClientAddress(), "host", "")),
        host=(request.getHeader(b"host") or b"").decode("latin-1"),
        origin=_text(request.getHeader(b"origin")),
    )


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")


def when(known: Deferred[T], request: Request, answer: Callable[[T], bytes | int]) -> bytes | int:
    """Answer at once where the Deferred has fired, else when it does; never, where the client has left by then."""
    gone: list[Failure] = []
    at_once: list[bytes | int] = []
    written = known.addCallback(lambda value: NOT_DONE_YET if gone else answer(value))
    written.addErrback(lambda failure: _bug(request, failure))
    if written.called:
        written.addCallback(at_once.append)
        return at_once[0]
    request.notifyFinish().addErrback(gone.append)

    def finish(body: bytes | int) -> None:
        if isinstance(body, bytes) and not gone:
            request.setHeader(b"content-length", b"%d" % len(body))
            request.write(body)
            request.finish()

    written.addCallback(finish)
    return NOT_DONE_YET


def _bug(request: Request, failure: Failure) -> bytes:
    _log.failure("The gateway failed to answer {path}", failure, path=request.path)
    return failed(request, 500, "the gateway failed; its log says why")
