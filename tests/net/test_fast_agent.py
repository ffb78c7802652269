from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone, ResponseFailed, ResponseNeverReceived, readBody
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IBodyProducer, IClientRequest, IResponse
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.contracts_exchanges import ExchangesContract
from tests.contracts_misbehaving import MisbehavingServersContract
from tests.net.servers import Scripted
from tests.net.wire import Network
from tutumstream.errors import ExchangeError
from tutumstream.net.fast_agent import FastAgent

URL = b"http://sink.example/a"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-A: 1\r\nX-A: 2\r\n\r\n"


class TreqOverFastAgentTests(ExchangesContract, SynchronousTestCase):
    way = "agent"


class MisbehavingServersTests(MisbehavingServersContract, SynchronousTestCase):
    way = "agent"


class Reading(Protocol):
    """Notes what it hears."""

    transport: Any

    def __init__(self) -> None:
        self.heard = b""
        self.end: BaseException | None = None

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.end = reason.value


@implementer(IBodyProducer)
class Slow:
    """A body that takes its time."""

    length = UNKNOWN_LENGTH

    def __init__(self) -> None:
        self.done: Deferred[None] = Deferred()
        self.stopped = False
        self.consumer: IConsumer | None = None

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        self.consumer = consumer
        return self.done

    def pauseProducing(self) -> None:
        """Not asked for."""

    def resumeProducing(self) -> None:
        """Not asked for."""

    def stopProducing(self) -> None:
        self.stopped = True


class AgentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.network = Network()
        self.agent = FastAgent(self.network.pool())
        self.server = Scripted(lambda server, data: None)
        self.network.host("sink.example:80", Factory.forProtocol(lambda: self.server))

    def request(self, *args: Any) -> Deferred[IResponse]:
        asked = self.agent.request(*args)
        self.network.settle()
        return asked

    def say(self, data: bytes) -> None:
        self.server.say(data)
        self.network.settle()

    def response(self, said: bytes, method: bytes = b"GET") -> Any:
        asked = self.request(method, URL)
        self.say(said)
        return self.successResultOf(asked)

    def test_it_is_an_agent_and_gives_responses(self) -> None:
        verifyObject(IAgent, self.agent)
        response = self.response(HEAD)
        verifyObject(IResponse, response)
        verifyObject(IClientRequest, response.request)
        self.assertEqual((response.version, response.code, response.phrase), ((b"HTTP", 1, 1), 200, b"OK"))
        self.assertEqual((response.length, response.headers.getRawHeaders(b"x-a")), (6, [b"1", b"2"]))
        self.assertEqual((response.request.method, response.request.absoluteURI), (b"GET", URL))
        response.setPreviousResponse(response)
        self.assertIs(response.previousResponse, response)

    def test_the_length_is_what_is_known(self) -> None:
        self.assertEqual(self.response(HEAD, b"HEAD").length, 0)
        self.assertEqual(self.response(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n").length, 0)
        self.assertIs(self.response(b"HTTP/1.1 299 Yes\r\nTransfer-Encoding: chunked\r\n\r\n").length, UNKNOWN_LENGTH)

    def test_every_header_is_sent(self) -> None:
        self.request(b"GET", URL, Headers({b"X-A": [b"1", b"2"], b"X-B": [b"\xff"], b"Host": [b"other.example"]}))
        self.assertTrue(self.server.received.startswith(b"GET /a HTTP/1.1\r\n"))
        for line in (b"X-A: 1", b"X-A: 2", b"X-B: \xff", b"Host: other.example"):
            self.assertIn(line + b"\r\n", self.server.received)
        self.assertNotIn(b"sink.example", self.server.received)

    def test_a_body_is_gathered_and_sent_with_its_length(self) -> None:
        body = Slow()
        self.request(b"POST", URL, None, body)
        assert body.consumer is not None
        body.consumer.registerProducer(body, True)
        body.consumer.write(b"one ")
        body.consumer.write(b"two")
        body.consumer.unregisterProducer()
        self.assertEqual(self.network.dialled, [])
        body.done.callback(None)
        self.network.settle()
        self.assertTrue(self.server.received.endswith(b"Content-Length: 7\r\n\r\none two"))

    def test_a_body_that_fails_is_not_sent(self) -> None:
        body, problem = Slow(), KeyError("a bug")
        asked = self.request(b"POST", URL, None, body)
        body.done.errback(problem)
        self.assertIs(self.failureResultOf(asked).value, problem)
        self.assertEqual(self.network.dialled, [])

    def test_a_body_that_nobody_waits_for_is_stopped(self) -> None:
        body = Slow()
        asked = self.request(b"POST", URL, None, body)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertTrue(body.stopped)

    def test_a_body_may_be_there_at_once(self) -> None:
        body = Slow()
        body.done = succeed(None)
        self.request(b"POST", URL, None, body)
        self.assertIn(b"Content-Length: 0\r\n", self.server.received)

    def test_a_body_is_read_as_it_comes(self) -> None:
        response, reading = self.response(HEAD), Reading()
        response.deliverBody(reading)
        for part in (b"one", b"two"):
            self.assertIsNone(reading.end)
            self.say(part)
        self.assertEqual(reading.heard, b"onetwo")
        self.assertIsInstance(reading.end, ResponseDone)

    def test_a_body_that_came_before_its_reader_is_kept_for_it(self) -> None:
        for parts in ((b"one", b"two"), (b"onetwo",)):
            response, reading = self.response(HEAD + parts[0]), Reading()
            for part in parts[1:]:
                self.say(part)
            response.deliverBody(reading)
            self.assertEqual(reading.heard, b"onetwo")
            self.assertIsInstance(reading.end, ResponseDone)

    def test_a_server_waits_for_a_reader(self) -> None:
        response = self.response(HEAD)
        transport = response.connection.transport
        told: list[str] = []
        transport.pauseProducing = lambda: told.append("pause")
        transport.resumeProducing = lambda: told.append("resume")
        self.say(b"on")
        self.say(b"e")
        self.assertEqual(told, ["pause"])
        reading = Reading()
        response.deliverBody(reading)
        self.assertEqual(told, ["pause", "resume"])
        reading.transport.pauseProducing()
        self.assertEqual(told, ["pause", "resume", "pause"])
        self.say(b"two")
        self.assertEqual(told, ["pause", "resume", "pause", "resume"])
        reading.transport.pauseProducing()
        reading.transport.resumeProducing()
        reading.transport.stopProducing()
        self.assertEqual(told, ["pause", "resume", "pause", "resume"])
        self.assertEqual(self.network.open_connections(), 1)

    def test_a_body_is_read_once(self) -> None:
        response = self.response(HEAD)
        response.deliverBody(Reading())
        self.assertRaises(RuntimeError, response.deliverBody, Reading())

    def test_a_reader_may_have_enough(self) -> None:
        response, reading = self.response(HEAD), Reading()
        response.deliverBody(reading)
        reading.transport.loseConnection()
        self.network.settle()
        self.assertEqual(self.network.open_connections(), 0)
        self.assertIsInstance(reading.end, ResponseFailed)

    def test_a_body_without_length_may_have_lost_something(self) -> None:
        response, reading = self.response(b"HTTP/1.1 200 OK\r\n\r\nsome"), Reading()
        response.deliverBody(reading)
        response.ends(False)
        self.assertIsInstance(reading.end, PotentialDataLoss)

    def test_a_body_that_is_cut_has_failed(self) -> None:
        for early in (True, False):
            response, reading = self.response(HEAD + b"one"), Reading()
            if early:
                response.deliverBody(reading)
            self.server.transport.loseConnection()
            self.network.settle()
            if not early:
                response.deliverBody(reading)
            self.assertEqual(reading.heard, b"one")
            self.assertIsInstance(reading.end, ResponseFailed)

    def test_reading_a_body_can_be_cancelled(self) -> None:
        read = readBody(self.response(HEAD))
        read.cancel()
        self.failureResultOf(read)
        self.network.settle()
        self.assertEqual(self.network.open_connections(), 0)

    def test_what_is_over_cannot_be_aborted(self) -> None:
        response, reading = self.response(HEAD + b"onetwo"), Reading()
        response.deliverBody(reading)
        reading.transport.abortConnection()
        self.network.settle()
        self.assertEqual(self.network.open_connections(), 1)
        self.assertIsInstance(reading.end, ResponseDone)

    def test_an_answer_that_never_came_is_told_as_such(self) -> None:
        asked = self.request(b"POST", URL)
        self.server.transport.loseConnection()
        self.network.settle()
        self.failureResultOf(asked, ResponseNeverReceived)

    def test_a_connection_that_never_was_is_told_as_it_is(self) -> None:
        self.network.host("sink.example:80", Refused())
        self.failureResultOf(self.request(b"GET", URL), Refused)

    def test_whoever_cancels_closes_the_connection(self) -> None:
        asked = self.request(b"GET", URL)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.network.settle()
        self.assertEqual(self.network.open_connections(), 0)

    def test_a_url_that_is_none_is_trouble(self) -> None:
        for url in (b"ftp://sink.example/", b"http://sink.example/\xff\r\n"):
            self.failureResultOf(self.request(b"GET", url), ExchangeError)
