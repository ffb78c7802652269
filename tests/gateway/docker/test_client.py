import json
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectError, ConnectionLost, ConnectionRefusedError, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone, ResponseNeverReceived
from twisted.web.http_headers import Headers

from tests.gateway.docker.model import CORPUS, container_id
from tutumstream.errors import DockerError
from tutumstream.gateway.docker.address import Unix
from tutumstream.gateway.docker.client import HEAD_TIMEOUT, DockerClient
from tutumstream.gateway.docker.transport import Agents, Feed, agents

HOST = "unix:///test.sock"


def client_of(reactor: MemoryReactorClock) -> DockerClient:
    """One over a socket that is in memory."""
    return DockerClient(agents(reactor, Unix("/run/test.sock"), {}), reactor, "unix:///run/test.sock")


class Response:
    """An answer of which the body comes when the test says so."""

    def __init__(self, code: int, headers: dict[str, str], body: bytes | None) -> None:
        self.code = code
        self.headers = Headers({name: [value] for name, value in headers.items()})
        self.transport = StringTransport()
        self.protocol: Any = None
        self._body = body

    def deliverBody(self, protocol: Any) -> None:
        self.protocol = protocol
        protocol.makeConnection(self.transport)
        if self._body is not None:
            protocol.dataReceived(self._body)
            protocol.connectionLost(Failure(ResponseDone()))


class Agent:
    """Remembers what was asked for; the test answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes, Headers]] = []
        self.answers: list[Deferred[Any]] = []
        self.cancelled = 0

    def request(self, method: bytes, uri: bytes, headers: Headers, body: object) -> Deferred[Any]:
        assert body is None
        self.asked.append((method, uri, headers))
        self.answers.append(Deferred(self._cancel))
        return self.answers[-1]

    def _cancel(self, _: object) -> None:
        self.cancelled += 1

    def answer(self, code: int = 200, body: bytes | None = b"", **headers: str) -> Response:
        response = Response(code, {name.replace("_", "-"): value for name, value in headers.items()}, body)
        self.answers[-1].callback(response)
        return response

    def fail(self, problem: Exception) -> None:
        self.answers[-1].errback(Failure(problem))


class ClientTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.requests, self.streams, self.clock = Agent(), Agent(), Clock()
        self.closed: list[bool] = []
        agents = Agents(self.requests, self.streams, self.close)  # type: ignore[arg-type]  # as much of one as is used
        self.client = DockerClient(agents, self.clock, HOST)

    def close(self) -> Deferred[None]:
        self.closed.append(True)
        return succeed(None)

    def negotiate(self, version: str = "1.41") -> str:
        agreed = self.client.negotiate()
        self.requests.answer(body=b"OK", Api_Version=version)
        return self.successResultOf(agreed)

    def refused(self, waiting: Deferred[Any]) -> str:
        return str(self.failureResultOf(waiting, DockerError).value)

    def paths(self, agent: Agent) -> list[str]:
        return [uri.decode().removeprefix("http://docker") for _, uri, _ in agent.asked]

    def test_every_request_is_a_get(self) -> None:
        self.negotiate()
        asks: list[Any] = [self.client.info, self.client.containers, lambda: self.client.inspect(container_id(1))]
        for ask in asks:
            asked: Deferred[Any] = ask()
            self.requests.answer(500)
            self.refused(asked)
        self.client.ping(5)
        self.assertEqual({method for method, _, _ in self.requests.asked + self.streams.asked}, {b"GET"})

    def test_the_version_is_the_older_of_both(self) -> None:
        for theirs, agreed in (("1.41", "1.41"), ("1.24", "1.24"), ("1.52", "1.52"), ("1.99", "1.52")):
            self.assertEqual(self.negotiate(theirs), agreed)
            self.client.info()
            self.assertEqual(self.paths(self.requests)[-1], f"/v{agreed}/info")
        self.assertEqual(self.paths(self.requests)[0], "/_ping")

    def test_an_engine_that_is_too_old_or_too_new_is_refused(self) -> None:
        for theirs in ("1.23", "2.0"):
            waiting = self.client.negotiate()
            self.requests.answer(body=b"OK", Api_Version=theirs)
            self.assertIn("update Docker", self.refused(waiting))

    def test_what_is_no_engine_is_told_apart(self) -> None:
        for code, version in ((200, None), (404, "1.41"), (200, "new")):
            waiting = self.client.negotiate()
            self.requests.answer(code, b"hello", **({"Api_Version": version} if version else {}))
            self.assertIn("no Docker Engine", self.refused(waiting))

    def test_connection_problems_say_what_to_do(self) -> None:
        for problem, advice in (
            (ConnectError(2, "No such file"), "is Docker installed and started?"),
            (ConnectError(13, "Permission denied"), "add it to the group"),
            (ConnectionRefusedError(111, "Connection refused"), "systemctl start docker"),
            (ConnectError(99, "odd"), "can't connect"),
            (ResponseNeverReceived([Failure(ConnectionLost())]), "closed the connection"),
            (ResponseNeverReceived([Failure(ValueError("SSH-2.0"))]), "no Docker Engine"),
            (RuntimeError("boom"), "RuntimeError: boom"),
        ):
            waiting = self.client.negotiate()
            self.requests.fail(problem)
            said = self.refused(waiting)
            self.assertIn(advice, said)
            self.assertIn(HOST, said)

    def test_connection_problems_over_a_network_say_what_to_do_there_and_nothing_of_a_socket(self) -> None:
        far = Agents(self.requests, self.streams, self.close, over_network=True)  # type: ignore[arg-type]  # as above
        client = DockerClient(far, self.clock, "tcp://10.0.0.7:2375")
        for problem, advice in (
            (ConnectionRefusedError(111, "Connection refused"), "check host and port in its URL"),
            (ConnectError(113, "No route to host"), "no way leads to that machine"),
            (ConnectError(101, "Network is unreachable"), "no way leads to that network"),
            (DNSLookupError("nowhere"), "no machine of that name"),
            (ConnectTimeout(), "any firewall in between"),
            (ResponseNeverReceived([Failure(ValueError("TLS"))]), "for TLS set DOCKER_CERT_PATH"),
            (ConnectError(99, "odd"), "can't connect"),
        ):
            waiting = client.negotiate()
            self.requests.fail(problem)
            said = self.refused(waiting)
            self.assertIn(advice, said)
            self.assertNotIn("socket", said)
        waiting = client.negotiate()
        self.requests.answer(404, b"hello")
        self.assertIn("check host and port", self.refused(waiting))

    def test_containers_are_listed_with_those_that_do_not_run(self) -> None:
        self.negotiate()
        waiting = self.client.containers()
        self.requests.answer(body=(CORPUS / "30-api-containers.json").read_bytes())
        self.assertEqual(len(self.successResultOf(waiting)), 2)
        self.assertEqual(self.paths(self.requests)[-1], "/v1.41/containers/json?all=1")

    def test_a_container_is_inspected(self) -> None:
        self.negotiate()
        waiting = self.client.inspect(container_id(7))
        self.requests.answer(body=(CORPUS / "30-api-container-inspect.json").read_bytes())
        found = self.successResultOf(waiting)
        assert found is not None
        self.assertEqual(found.name, "fix")
        self.assertEqual(self.paths(self.requests)[-1], f"/v1.41/containers/{container_id(7)}/json")

    def test_a_container_that_is_gone_is_none(self) -> None:
        waiting = self.client.inspect(container_id(7))
        self.requests.answer(404, b'{"message":"No such container"}')
        self.assertIsNone(self.successResultOf(waiting))

    def test_only_an_id_becomes_part_of_a_path(self) -> None:
        for text in ("../secrets", "a" * 63, "A" * 64, "a" * 64 + "/archive", "", "a" * 64 + "\n"):
            self.assertIn("is no container id", self.refused(self.client.inspect(text)))
        self.assertEqual(self.requests.asked, [])

    def test_no_other_path_can_be_asked_for(self) -> None:
        for path in ("/secrets", "/v1.41/swarm", f"/v1.41/containers/{'a' * 64}/archive", "/v1.41/containers/x/json"):
            self.assertRaises(DockerError, self.client._request, self.requests, path)
        self.assertEqual(self.requests.asked, [])

    def test_an_answer_that_is_no_success_is_quoted(self) -> None:
        waiting = self.client.info()
        self.requests.answer(500, b'{"message":"boom\n"}')
        said = self.refused(waiting)
        self.assertIn("HTTP status 500", said)
        self.assertIn("boom", said)
        self.assertNotIn("\n", said)

    def test_a_proxy_that_forbids_it_is_recognised(self) -> None:
        waiting = self.client.containers()
        self.requests.answer(403, b"forbidden")
        self.assertIn("must allow PING, INFO, EVENTS and CONTAINERS", self.refused(waiting))

    def test_an_answer_that_is_nonsense_is_refused(self) -> None:
        for body in (b"<html>", b"\xff", b"[" * 200_000):
            waiting = self.client.info()
            self.requests.answer(body=body)
            self.assertIn("can't be read", self.refused(waiting))

    def test_an_answer_without_end_is_given_up(self) -> None:
        waiting = self.client.info()
        response = self.requests.answer(body=None)
        response.protocol.dataReceived(b"{")
        self.clock.advance(HEAD_TIMEOUT)
        self.assertIn("does not answer in time", self.refused(waiting))
        self.assertTrue(response.transport.disconnecting)

    def test_an_answer_that_is_too_large_is_given_up(self) -> None:
        waiting = self.client.info()
        response = self.requests.answer(body=None)
        for _ in range(17):
            response.protocol.dataReceived(b"x" * 1024 * 1024)
        self.assertIn("too large", self.refused(waiting))
        self.assertTrue(response.transport.disconnecting)

    def test_a_ping_has_its_own_connection_and_its_own_time(self) -> None:
        waiting = self.client.ping(5)
        self.assertEqual((self.paths(self.streams), self.requests.asked), (["/_ping"], []))
        self.clock.advance(5)
        self.assertIn("does not answer in time", self.refused(waiting))
        self.assertEqual(self.streams.cancelled, 1)
        waiting = self.client.ping(5)
        self.streams.answer(500, b"no")
        self.assertIn("500", self.refused(waiting))
        waiting = self.client.ping(5)
        self.streams.answer(200, b"OK")
        self.assertIsNone(self.successResultOf(waiting))

    def test_the_stream_asks_for_types_and_for_lines(self) -> None:
        self.negotiate()
        feed = Feed(lambda: None, lambda: None)
        opened = self.client.events(feed)
        ((_, uri, headers),) = self.streams.asked
        self.assertIn("/v1.41/events?filters=", uri.decode())
        self.assertIn("application/x-ndjson", (headers.getRawHeaders("Accept") or [""])[0])
        self.assertNotIn("since", uri.decode())
        response = self.streams.answer(body=None)
        self.assertIsNone(self.successResultOf(opened))
        response.protocol.dataReceived(b'{"Type":')
        response.protocol.dataReceived(b"7}\n")
        self.assertEqual(feed.take(9), [b'{"Type":7}'])

    def test_a_stream_may_take_a_minute_to_begin_and_then_for_ever(self) -> None:
        feed = Feed(lambda: None, lambda: None)
        opened = self.client.events(feed)
        self.clock.advance(HEAD_TIMEOUT - 1)
        self.streams.answer(body=None)
        self.successResultOf(opened)
        self.clock.advance(1e6)
        self.assertNoResult(feed.ended())
        late = self.client.events(Feed(lambda: None, lambda: None))
        self.clock.advance(HEAD_TIMEOUT)
        self.assertIn("does not answer in time", self.refused(late))

    def test_a_stream_that_is_refused_says_why(self) -> None:
        opened = self.client.events(Feed(lambda: None, lambda: None))
        self.streams.answer(400, json.dumps({"message": "bad filter"}).encode())
        self.assertIn("bad filter", self.refused(opened))

    def test_cancelling_cancels_the_request(self) -> None:
        waiting = self.client.info()
        waiting.cancel()
        self.failureResultOf(waiting)
        self.assertEqual(self.requests.cancelled, 1)

    def test_closing_closes_the_kept_connections(self) -> None:
        self.successResultOf(self.client.close())
        self.assertEqual(self.closed, [True])


class UnixClientTests(SynchronousTestCase):
    def test_it_connects_to_the_socket_quietly(self) -> None:
        reactor = MemoryReactorClock()
        client = client_of(reactor)
        waiting = client.negotiate()
        ((path, factory, _, _),) = reactor.unixClients
        self.assertEqual(path, "/run/test.sock")
        self.assertFalse(factory._wrappedFactory.noisy)
        protocol = factory.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        self.assertTrue(transport.value().startswith(b"GET /_ping HTTP/1.1\r\n"))
        protocol.dataReceived(b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK")
        self.assertEqual(self.successResultOf(waiting), "1.41")

    def test_a_stream_in_chunks_is_read_and_never_paused(self) -> None:
        reactor = MemoryReactorClock()
        client = client_of(reactor)
        feed = Feed(lambda: None, lambda: None)
        opened = client.events(feed)
        protocol = reactor.unixClients[0][1].buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.successResultOf(opened)
        protocol.dataReceived(b'4\r\n{"a"\r\n4\r\n:1}\n\r\n')
        self.assertEqual(feed.take(9), [b'{"a":1}'])
        self.assertEqual(transport.producerState, "producing")
        ended = feed.ended()
        protocol.connectionLost(Failure(ConnectionLost()))
        self.successResultOf(ended)

    def test_cancelling_is_cancelling_however_far_it_came(self) -> None:
        for connected in (False, True):
            reactor = MemoryReactorClock()
            waiting = client_of(reactor).info()
            if connected:
                self.connect(reactor)
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)

    def test_time_runs_out_however_far_it_came(self) -> None:
        for connected in (False, True):
            reactor = MemoryReactorClock()
            waiting = client_of(reactor).ping(5)
            transport = self.connect(reactor) if connected else None
            reactor.advance(5)
            said = str(self.failureResultOf(waiting, DockerError).value)
            self.assertIn("does not answer in time", said)
            if transport:
                self.assertEqual(transport.disconnected, True)

    def test_what_speaks_another_language_is_no_engine(self) -> None:
        reactor = MemoryReactorClock()
        waiting = client_of(reactor).negotiate()
        protocol = reactor.unixClients[0][1].buildProtocol(None)
        protocol.makeConnection(StringTransport())
        protocol.dataReceived(b"SSH-2.0-OpenSSH_9.2\r\n")
        self.assertIn("no Docker Engine", str(self.failureResultOf(waiting, DockerError).value))

    def connect(self, reactor: MemoryReactorClock) -> StringTransport:
        protocol = reactor.unixClients[0][1].buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        return transport
