"""One port: the Stream API under `/v1/`, the REST API under `/api/v1/`, and Docker Cloud's forms of both."""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.http import Request as HTTPRequest
from twisted.web.resource import Resource
from twisted.web.server import Request

from tutumstream.channel import BoundedChannel, BoundedSite
from tutumstream.gateway.answering import answered
from tutumstream.gateway.concealment import NOTHING, Concealment
from tutumstream.gateway.dialect import STREAMS, is_tutum_stream, segments
from tutumstream.gateway.gate import Gate
from tutumstream.gateway.platform import IPlatform
from tutumstream.gateway.rest import RestResource
from tutumstream.gateway.settings import Permission
from tutumstream.gateway.streaming import StreamFactory
from tutumstream.gateway.upgrade import UpgradeResource, is_upgrade


class Channel(BoundedChannel):
    """HTTP/1.1, with an ear for python-tutum 0.16 to 0.20.

    These send the line `User-Agent`, without a colon, in the handshake of the stream (protocol A10). It is dropped
    there; elsewhere it stays the error that it is.
    """

    def headerReceived(self, line: bytes) -> bool:
        """Take one header line; False where the request was refused."""
        if b":" not in line and is_tutum_stream(segments(self._path)):
            return True
        return super().headerReceived(line)


class Probes:
    """`/healthz` and `/readyz`, for whoever keeps it running. Without credentials, so they tell nothing else: how many
    engines can't be seen, and neither where they are nor what they answer. The log says that.

    Args:
        keeps: whether what is told is kept for after a restart, where that is wanted.
    """

    def __init__(self, platform: IPlatform, keeps: Callable[[], bool]) -> None:
        self._platform = platform
        self._keeps = keeps

    def answer(self, request: Request, name: bytes) -> bytes:
        """200 where all is well, 503 while nothing can be seen; what else is wrong is said either way."""
        if name == b"healthz":
            return answered(request, {"status": "ok"})
        ready = self._platform.synced and self._platform.in_sight
        lost = len(self._platform.troubles())
        reasons = [f"{lost} engine{'s' if lost > 1 else ''} can't be seen; the log says why"] if lost else []
        if not ready and not reasons:
            reasons = ["the objects are not known yet"]
        if not self._keeps():
            reasons.append("the state can't be kept; the log says why")
        request.setResponseCode(200 if ready else 503)
        return answered(request, {"ready": ready, "reasons": reasons})


class RootResource(Resource):
    """Chooses: an upgrade anywhere and all of Tutum's stream paths, the probes, or the REST API."""

    isLeaf = True

    def __init__(self, upgrades: UpgradeResource, rest: RestResource, probes: Probes) -> None:
        super().__init__()
        self._upgrades = upgrades
        self._rest = rest
        self._probes = probes

    def render(self, request: Request) -> bytes | int:
        """Pass the request on."""
        path = segments(request.path)
        if is_tutum_stream(path) or (is_upgrade(request) and path[-1:] and path[-1].decode("latin-1") in STREAMS):
            return self._upgrades.render(request)
        if len(path) == 1 and path[0] in (b"healthz", b"readyz"):
            return self._probes.answer(request, path[0])
        return self._rest.render(request)


class GatewaySite(BoundedSite):
    """A Tutum to connect to, over any platform.

    Args:
        clock: for time-outs and delays; the reactor.
        platform: has the objects; not started here.
        gate: who may connect.
        stream: the Stream's clients.
        allow: what is served beyond looking.
        conceal: what of the objects is left out.
        keeps: whether what is told is kept for after a restart, where that is wanted.
    """

    _logger = Logger()
    protocol = Channel

    def __init__(
        self,
        clock: IReactorTime,
        platform: IPlatform,
        gate: Gate,
        stream: StreamFactory,
        allow: frozenset[Permission] = frozenset(),
        conceal: Concealment = NOTHING,
        keeps: Callable[[], bool] = lambda: True,
    ) -> None:
        rest = RestResource(platform, gate, allow, conceal)
        root = RootResource(UpgradeResource(stream, gate, platform, allow), rest, Probes(platform, keeps))
        super().__init__(root, clock)
        self.stream = stream

    def log(self, request: HTTPRequest) -> None:
        """One line a request, at debug: the path only, as the query may hold credentials (protocol A2)."""
        self._logger.debug(
            "{peer} {method} {path} {code}",
            peer=str(request.getClientAddress()),
            method=request.method.decode("ascii", "replace"),
            path=request.path.decode("ascii", "replace"),
            code=request.code,
        )
