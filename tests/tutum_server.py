"""A Tutum for tests that does what it is told, wrong things too: the Stream and REST API of tests/corpus/tutum.

As a process of its own, `python -m tests.tutum_server`, it prints its port and is told what to do over HTTP;
`running_tutum.py` does that for a test. In a test's own reactor, use `ScriptedTutum(...).site`.

    POST /control/mode      {"mode": "open", …}      see `Behaviour`; fields that are left out stay as they are
    POST /control/send      ?binary=1                the body is one frame's payload, sent as it is, to every client
    POST /control/put                                the body is an object; it is shown from now on, and nobody is told
    POST /control/remove                             the body is a resource URI; it is shown no more, and nobody is told
    POST /control/bytes                              the body goes into every client's socket as it is
    POST /control/close     ?code=1000&reason=…      closing handshake with every client
    POST /control/drop                               every client's connection is cut
    GET  /control/requests                           all requests but these: method, uri, headers
    GET  /control/state                              clients now, connections so far, pings and pongs received
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

CORPUS = Path(__file__).parent / "corpus" / "tutum"

MODES = ("open", "refuse", "unauthorized", "close", "silent", "hang")


@dataclass(frozen=True)
class Behaviour:
    """How the server takes connections and look-ups.

    mode: `open` as Tutum does; `refuse` HTTP 401 instead of the upgrade; `unauthorized` 101, the error event, close;
        `close` 101, then the connection is cut; `silent` as `open`, but no ping is answered and none is sent;
        `hang` the upgrade is never answered.
    greet: whether the `auth` message is sent.
    deflate: whether offered compression is accepted.
    rest_status: 0 for what the corpus holds; any other status answers every look-up with an empty object.
    rest_delay: seconds before a look-up is answered.
    follow: whether what is sent of an object is what the REST API shows from then on.
    rest_limit: objects on a page at most.
    retry_after: what a `rest_status` comes with as `Retry-After`; "" for nothing.
    """

    mode: str = "open"
    greet: bool = True
    deflate: bool = True
    rest_status: int = 0
    rest_delay: float = 0.0
    follow: bool = True
    rest_limit: int = 100
    retry_after: str = ""


class _Client(WebSocketServerProtocol):
    factory: "_Clients"

    def onOpen(self) -> None:
        """Do what the mode says."""
        tutum = self.factory.tutum
        tutum.connections += 1
        mode = tutum.behaviour.mode
        if mode == "close":
            self.transport.loseConnection()
        elif mode == "unauthorized":
            self.send_payload(b'{"type": "error", "data": {"errorMessage": "UNAUTHORIZED"}}')
            tutum.clock.callLater(0.2, self.leave, 1000, "")
        else:
            tutum.clients.append(self)
            if tutum.behaviour.greet:
                self.send_payload(b'{"type": "auth"}')

    def send_payload(self, payload: bytes, binary: bool = False) -> None:
        """One frame, whatever is in it."""
        self.sendFrame(opcode=2 if binary else 1, payload=payload)

    def leave(self, code: int, reason: str) -> None:
        """Begin the closing handshake."""
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code=code, reasonUtf8=reason.encode(), isReply=False)

    def onPing(self, payload: bytes) -> None:
        """Answer, unless the mode forbids it."""
        tutum = self.factory.tutum
        tutum.pings += 1
        if tutum.behaviour.mode != "silent":
            self.sendPong(payload)

    def onPong(self, payload: bytes) -> None:
        """Count."""
        self.factory.tutum.pongs += 1

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Forget the client."""
        if self in self.factory.tutum.clients:
            self.factory.tutum.clients.remove(self)


class _Clients(WebSocketServerFactory):
    protocol = _Client

    def __init__(self, tutum: "ScriptedTutum") -> None:
        super().__init__(reactor=tutum.clock, server="")
        self.tutum = tutum
        self.setProtocolOptions(perMessageCompressionAccept=self._accept, closeHandshakeTimeout=2)

    def _accept(self, offers: list[Any]) -> Any:
        from autobahn.websocket.compress import PerMessageDeflateOfferAccept

        return PerMessageDeflateOfferAccept(offers[0]) if self.tutum.behaviour.deflate else None


class ScriptedTutum:
    """The server.

    Args:
        clock: the reactor.
        resources: objects by kind; the corpus by default.

    Attributes:
        site: the factory to listen with.
        behaviour: replace it to change what happens next.
        clients: those that are connected.
        requests: all that came, those of `/control/` left out.
    """

    def __init__(self, clock: IReactorTime, resources: dict[str, list[dict[str, Any]]] | None = None) -> None:
        self.clock = clock
        self.resources = corpus_resources() if resources is None else resources
        self.behaviour = Behaviour()
        self.clients: list[_Client] = []
        self.requests: list[dict[str, Any]] = []
        self.connections = self.pings = self.pongs = 0
        self._sockets = WebSocketResource(_Clients(self))
        self.site = Site(_Root(self), reactor=clock)
        self.site.log = lambda request: None

    def send(self, payload: bytes, binary: bool = False) -> None:
        """One frame to every client."""
        if self.behaviour.follow:
            self._show(payload)
        for client in self.clients:
            client.send_payload(payload, binary)

    def put(self, shown: dict[str, Any]) -> None:
        """Show an object; its URI says of which kind it is."""
        objects = self.resources.setdefault(_kind(shown["resource_uri"]), [])
        for n, each in enumerate(objects):
            if each["resource_uri"] == shown["resource_uri"]:
                objects[n] = {**each, **shown}
                return
        objects.append(shown)

    def remove(self, uri: str) -> None:
        """Show an object no more; harmless where there is none."""
        kind = _kind(uri)
        self.resources[kind] = [each for each in self.resources.get(kind, []) if each["resource_uri"] != uri]

    def _show(self, payload: bytes) -> None:
        try:
            event = json.loads(payload)
            uri, state, action = event["resource_uri"], event["state"], event["action"]
            parents = {_kind(parent): parent for parent in event["parents"]}
        except (ValueError, TypeError, LookupError, RecursionError, AttributeError):
            return
        if not isinstance(uri, str) or not isinstance(state, str) or len(uri.strip("/").split("/")) != 4:
            return
        if action == "delete":
            self.remove(uri)
            return
        names = {"stack": "stack", "service": "service", "node": "node", "nodecluster": "node_cluster"}
        belongs = {names[kind]: parent for kind, parent in parents.items() if kind in names}
        self.put({"resource_uri": uri, "uuid": uri.strip("/").split("/")[-1], "state": state, **belongs})

    def send_bytes(self, data: bytes) -> None:
        """Bytes into every client's socket, whatever they mean."""
        for client in self.clients:
            client.transport.write(data)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """The closing handshake with every client."""
        for client in tuple(self.clients):
            client.leave(code, reason)

    def drop(self) -> None:
        """Cut every connection."""
        for client in tuple(self.clients):
            client.transport.abortConnection()

    def upgrade(self, request: Request) -> Any:
        """Take or refuse a WebSocket."""
        if self.behaviour.mode == "hang":
            return NOT_DONE_YET
        if self.behaviour.mode == "refuse":
            request.setResponseCode(401)
            return b""
        return self._sockets.render(request)

    def look_up(self, request: Request) -> Any:
        """Answer the REST API's side, perhaps later."""
        if not self.behaviour.rest_delay:
            return self._looked_up(request)
        gone: list[object] = []
        request.notifyFinish().addBoth(gone.append)

        def answer() -> None:
            if not gone:
                request.write(self._looked_up(request))
                request.finish()

        self.clock.callLater(self.behaviour.rest_delay, answer)
        return NOT_DONE_YET

    def _looked_up(self, request: Request) -> bytes:
        request.setHeader(b"content-type", b"application/json")
        if self.behaviour.rest_status:
            request.setResponseCode(self.behaviour.rest_status)
            if self.behaviour.retry_after:
                request.setHeader(b"retry-after", self.behaviour.retry_after.encode())
            return b"{}"
        segments = [one for one in request.path.decode().split("/") if one]
        if segments == ["api", "v1", "auth"]:
            return b'{"objects": []}'
        objects = self.resources.get(segments[2], []) if segments[:2] == ["api", "v1"] and len(segments) > 2 else []
        if len(segments) == 3:
            return json.dumps(self._page(segments[2], objects, request)).encode()
        for one in objects:
            if one["resource_uri"].strip("/") == "/".join(segments):
                return json.dumps(one).encode()
        request.setResponseCode(404)
        return b'{"error": "no such object"}'

    def _page(self, kind: str, objects: list[dict[str, Any]], request: Request) -> dict[str, Any]:
        limit, offset = (
            int(request.args.get(name, [default])[0]) for name, default in ((b"limit", b"25"), (b"offset", b"0"))
        )
        limit = min(limit, self.behaviour.rest_limit)
        more = offset + limit < len(objects)
        following = f"/api/v1/{kind}/?limit={limit}&offset={offset + limit}" if more else None
        meta = {"limit": limit, "next": following, "offset": offset, "previous": None, "total_count": len(objects)}
        return {"meta": meta, "objects": objects[offset : offset + limit]}


def _kind(uri: str) -> str:
    return uri.strip("/").split("/")[2] if uri.count("/") > 3 else ""


def corpus_resources() -> dict[str, list[dict[str, Any]]]:
    """The objects of the corpus by kind."""
    files = (CORPUS / "resources").glob("[a-z]*.json")
    return {file.stem: json.loads(file.read_text())["objects"] for file in files}


class _Root(Resource):
    isLeaf = True

    def __init__(self, tutum: ScriptedTutum) -> None:
        super().__init__()
        self.tutum = tutum

    def render(self, request: Request) -> Any:
        """Choose by path; note what came."""
        if request.path.startswith(b"/control/"):
            return self._control(request)
        headers = {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        self.tutum.requests.append(
            {"method": request.method.decode(), "uri": request.uri.decode("latin-1"), "headers": headers}
        )
        return self.tutum.upgrade(request) if "upgrade" in headers else self.tutum.look_up(request)

    def _control(self, request: Request) -> bytes:
        tutum = self.tutum
        body = request.content.read()
        options = {name.decode(): values[0].decode() for name, values in request.args.items()}
        verb = request.path.removeprefix(b"/control/").decode()
        answer: Any = {}
        if verb == "mode":
            asked = json.loads(body)
            unknown = set(asked) - {field.name for field in fields(Behaviour)}
            if unknown or asked.get("mode", "open") not in MODES:
                request.setResponseCode(400)
                return f"unknown: {asked}\n".encode()
            tutum.behaviour = replace(tutum.behaviour, **asked)
            answer = asdict(tutum.behaviour)
        elif verb == "send":
            tutum.send(body, binary="binary" in options)
        elif verb == "put":
            tutum.put(json.loads(body))
        elif verb == "remove":
            tutum.remove(body.decode())
        elif verb == "bytes":
            tutum.send_bytes(body)
        elif verb == "close":
            tutum.close(int(options.get("code", "1000")), options.get("reason", ""))
        elif verb == "drop":
            tutum.drop()
        elif verb == "requests":
            answer = tutum.requests
        elif verb == "state":
            answer = {
                "clients": len(tutum.clients),
                "connections": tutum.connections,
                "pings": tutum.pings,
                "pongs": tutum.pongs,
            }
        else:
            request.setResponseCode(404)
        request.setHeader(b"content-type", b"application/json")
        return json.dumps(answer).encode()


def main() -> None:
    """Listen, print the port, serve until killed."""
    options = argparse.ArgumentParser(description="A scripted Tutum for tests.")
    options.add_argument("--port", type=int, default=0)
    port = options.parse_args().port

    from twisted.internet import reactor

    tutum = ScriptedTutum(reactor)
    listening = serverFromString(reactor, f"tcp:{port}:interface=127.0.0.1").listen(tutum.site)
    listening.addCallbacks(
        lambda listener: (sys.stdout.write(f"{listener.getHost().port}\n"), sys.stdout.flush()),
        lambda failure: (sys.stderr.write(f"{failure.getErrorMessage()}\n"), reactor.stop()),
    )
    reactor.run()


if __name__ == "__main__":
    main()
