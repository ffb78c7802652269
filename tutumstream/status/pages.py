"""What `--listen` answers: probes for whoever keeps the service running, and the operators' API beside them.

The probes are read-only and without secrets; the API looks after itself.
"""

import json
from collections.abc import Callable
from typing import Any

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.pages import errorPage
from twisted.web.resource import IResource

from tutumstream.channel import BoundedSite
from tutumstream.status.board import Snapshot


class Pages:
    """The probes, over the board's snapshot.

    Args:
        snapshot: the board's.
        api: what stands under `/api/v1/`.
    """

    app = Klein()

    def __init__(self, snapshot: Callable[[], Snapshot], api: IResource) -> None:
        self._snapshot = snapshot
        self._api = api

    @app.route("/healthz", methods=["GET"])
    def healthz(self, request: IRequest) -> bytes:
        """200 for as long as the process can answer at all."""
        return _json(request, 200, {"status": "ok"})

    @app.route("/readyz", methods=["GET"])
    def readyz(self, request: IRequest) -> bytes:
        """200 when the stream is connected and the journal works, else 503 with the reasons."""
        now = self._snapshot()
        body = {
            "ready": not now.reasons,
            "reasons": list(now.reasons),
            "stream": str(now.stream),
            "journal": now.journal,
            "destinations": {name: str(state) for name, state in now.destinations.items()},
            "counts": dict(now.counts),
        }
        return _json(request, 503 if now.reasons else 200, body)

    @app.route("/api/v1/", branch=True)
    def api(self, request: IRequest) -> IResource:  # noqa: ARG002  (Klein gives it)
        """The operators' API."""
        return self._api


def _json(request: IRequest, status: int, body: object) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"x-content-type-options", b"nosniff")
    return json.dumps(body).encode() + b"\n"


class _Unlogged(BoundedSite):
    """A probe every ten seconds, for a year, is nothing to write down; nor is a path that is no text."""

    displayTracebacks = False

    def log(self, request: Any) -> None:
        """Leave it out."""

    def getResourceFor(self, request: Any) -> IResource:
        """What is asked for. Klein would log a bug for a path that is not UTF-8, and for a host that can be none."""
        try:
            b"/".join([*request.prepath, *request.postpath]).decode()
            (request.getRequestHostname() + b":65535").decode().encode("idna")
        except UnicodeError:
            return errorPage(400, "Bad Request", "This path is not UTF-8 text, or this host is no name.")
        found: IResource = super().getResourceFor(request)
        return found


def site(snapshot: Callable[[], Snapshot], api: IResource) -> BoundedSite:
    """The pages, ready to be listened for."""
    return _Unlogged(Pages(snapshot, api).app.resource())
