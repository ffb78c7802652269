from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection as TCPConnection
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.errors import ExchangeError
from tutumstream.net.answer_parser import HEAD_LIMIT
from tutumstream.net.connection import Connection, Request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\n"


class Asked:
    """A request that notes what it is told."""

    connection: Connection | None = None

    def __init__(self, data: bytes = b"GET / HTTP/1.1\r\n\r\n", *, bodiless: bool = False, again: bool = False) -> None:
        self.data = data
        self.bodiless = bodiless
        self.again = again
        self.told: list[object] = []

    def begins(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.told.append((status, list(headers)))

    def receives(self, data: bytes) -> None:
        self.told.append(data)

    def ends(self, whole: bool) -> None:
        self.told.append(whole)

    def fails(self, problem: Failure) -> None:
        self.told.append(problem.value)


class Wire(TCPConnection):
    """A TCP transport that takes some of what is written now, and notes the rest."""

    def __init__(self, *takes: int | Exception) -> None:
        self.now: list[bytes] = []
        self.later: list[bytes] = []
        self._takes = list(takes)

    def writeSomeData(self, data: bytes) -> int | Exception:
        takes = self._takes.pop(0)
        if isinstance(takes, int):
            self.now.append(data[:takes])
            return min(takes, len(data))
        return takes

    def write(self, data: bytes) -> None:
        self.later.append(data)


class ConnectionCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.free: list[Connection] = []
        self.gone: list[Request | None] = []

    def connect(self, transport: Any = None, secure: bool = False) -> Connection:
        connection = Connection(
            "http://s.example", secure, self.clock, self.free.append, lambda _, request: self.gone.append(request)
        )
        connection.makeConnection(transport or StringTransport())
        return connection

    def ask(self, asked: Asked, connection: Connection | None = None) -> Connection:
        connection = connection or self.connect()
        connection.send(asked)
        return connection


class AnswerTests(ConnectionCase):
    def test_an_answer_is_told_in_its_order_and_the_connection_is_free_before_its_end(self) -> None:
        asked = Asked()
        connection = self.ask(asked)
        self.assertIs(asked.connection, connection)
        asked.ends = lambda whole: asked.told.append((whole, list(self.free)))  # type: ignore[method-assign]  # a spy
        connection.dataReceived(OK[:-1])
        self.assertEqual(self.free, [])
        connection.dataReceived(OK[-1:])
        self.assertEqual(asked.told, [(200, [(b"Content-Length", b"2")]), b"o", b"k", (True, [connection])])

    def test_trailers_are_no_headers(self) -> None:
        asked = Asked()
        chunked = b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
        self.ask(asked).dataReceived(HEAD + chunked + b"X-Late: 1\r\n\r\n")
        self.assertEqual(asked.told, [(200, [(b"Transfer-Encoding", b"chunked")]), True])
        self.assertEqual(len(self.free), 1)

    def test_headers_of_interim_answers_are_forgotten(self) -> None:
        asked = Asked()
        self.ask(asked).dataReceived(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK)
        self.assertEqual(asked.told[0], (200, [(b"Content-Length", b"2")]))

    def test_a_body_that_ends_with_its_connection_is_whole_only_if_that_was_no_accident(self) -> None:
        for end, whole in ((ConnectionDone(), True), (ConnectionLost(), False)):
            for header in (b"", b"Transfer-Encoding: gzip\r\n"):
                asked = Asked()
                connection = self.ask(asked)
                connection.dataReceived(HEAD + header + b"\r\nsome")
                connection.connectionLost(Failure(end))
                self.assertEqual(asked.told[1:], [b"some", whole])

    def test_a_body_of_known_end_that_is_cut_is_trouble(self) -> None:
        for header in (b"content-length: 9", b"Transfer-Encoding: Chunked"):
            asked, end = Asked(), ConnectionDone()
            connection = self.ask(asked)
            connection.dataReceived(HEAD + header + b"\r\n\r\n")
            connection.connectionLost(Failure(end))
            self.assertIs(asked.told[-1], end)

    def test_an_upgrade_that_nobody_asked_for_is_no_answer(self) -> None:
        asked = Asked()
        self.ask(asked).dataReceived(b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc")
        (problem,) = asked.told
        self.assertIsInstance(problem, ExchangeError)
        self.assertEqual(str(problem), "http://s.example: its answer is not valid HTTP")

    def test_headers_have_a_limit_however_they_come(self) -> None:
        line = b"X: " + b"x" * 1000 + b"\r\n"
        fits, too_many = line * (HEAD_LIMIT // len(line) - 1), line * (HEAD_LIMIT // len(line) + 1)
        endless = b"X: " + b"x" * (HEAD_LIMIT + 1)
        for lines, answered in ((fits, True), (too_many, False), (endless, False)):
            for size in (1000, 200_000):
                asked = Asked()
                connection = self.ask(asked)
                said = HEAD + lines + b"Content-Length: 0\r\n\r\n"
                for at in range(0, len(said), size):
                    if connection.transport.disconnected:
                        break
                    connection.dataReceived(said[at : at + size])
                self.assertEqual(asked.told[-1] is True, answered)
                if not answered:
                    self.assertIn("headers of its answer are longer than 65536 bytes", str(asked.told[-1]))
                    self.assertEqual(connection.transport.disconnected, True)

    def test_trailers_and_extensions_without_end_are_ended(self) -> None:
        for said in (b"0\r\nX: ", b"5;"):
            asked = Asked()
            connection = self.ask(asked)
            connection.dataReceived(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + said)
            for _ in range(70):
                self.assertNotIsInstance(asked.told[-1], ExchangeError)
                connection.dataReceived(b"x" * 1000)
                if connection.transport.disconnected:
                    break
            self.assertIn("longer than", str(asked.told[-1]))

    def test_a_long_body_is_no_head(self) -> None:
        asked = Asked()
        connection = self.ask(asked)
        connection.dataReceived(HEAD + b"Content-Length: 1000000\r\n\r\n")
        for _ in range(10):
            connection.dataReceived(b"x" * 100_000)
        self.assertIs(asked.told[-1], True)

    def test_a_dropped_request_hears_nothing_more(self) -> None:
        asked = Asked()
        connection = self.ask(asked)
        asked.begins = lambda status, headers: connection.drop()  # type: ignore[method-assign]  # ends it amid the answer
        connection.dataReceived(OK)
        connection.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((asked.told, self.free, self.gone), ([], [], [None]))

    def test_a_request_dropped_within_a_broken_answer_hears_nothing_more(self) -> None:
        asked = Asked()
        connection = self.ask(asked)
        asked.receives = lambda data: connection.drop()  # type: ignore[method-assign]  # ends it amid the answer
        connection.dataReceived(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxgarbage")
        self.assertEqual(len(asked.told), 1)

    def test_a_request_dropped_at_its_head_has_no_body(self) -> None:
        for said in (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx", HEAD + b"Content-Length: 70000\r\n\r\n"):
            asked = Asked()
            connection = self.ask(asked)
            connection.drop()
            connection.dataReceived(said)
            self.assertEqual(asked.told, [])

    def test_what_a_dropped_request_would_have_heard_is_nobodys(self) -> None:
        asked = Asked()
        connection = self.ask(asked)
        asked.begins = lambda status, headers: connection.drop()  # type: ignore[method-assign]  # ends it amid the answer
        connection.dataReceived(OK.replace(b"ok", b"o"))
        connection.dataReceived(b"k")
        self.assertEqual((asked.told, self.free), ([], []))

    def test_a_bug_of_ours_is_told_as_such(self) -> None:
        asked = Asked()
        connection = self.ask(asked)
        bug = KeyError("a bug")

        def broken(data: bytes) -> None:
            raise bug

        asked.receives = broken  # type: ignore[method-assign]  # a bug
        connection.dataReceived(OK)
        self.assertIs(asked.told[-1], bug)
        self.assertTrue(connection.transport.disconnected)

    def test_bytes_that_nobody_asked_for_end_the_connection(self) -> None:
        connection = self.connect()
        connection.dataReceived(OK)
        self.assertTrue(connection.transport.disconnected)
        self.assertEqual(self.gone, [None])
        connection.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.gone, [None, None])

    def test_only_a_kept_connection_hands_its_request_back_once(self) -> None:
        end = ConnectionLost()
        for again, before, heard, expected in (
            (True, True, b"", "again"),
            (True, True, b"H", "fails"),
            (True, False, b"", "fails"),
            (False, True, b"", "fails"),
        ):
            connection = self.connect()
            if before:
                self.ask(Asked(), connection).dataReceived(OK)
            asked = Asked(again=again)
            self.ask(asked, connection)
            if heard:
                connection.dataReceived(heard)
            self.gone.clear()
            connection.connectionLost(Failure(end))
            if expected == "again":
                self.assertEqual((self.gone, asked.told, asked.again, asked.connection), ([asked], [], False, None))
            else:
                self.assertEqual((self.gone, asked.told), ([None], [end]))

    def test_it_is_told_when_it_is_closed(self) -> None:
        connection = self.connect()
        self.assertNoResult(connection.closed)
        connection.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(connection.closed)


class SendingTests(ConnectionCase):
    """How bytes leave: at once where that can be, through the transport's buffer otherwise."""

    def sent(self, *takes: int | Exception, requests: int = 1) -> Wire:
        wire = Wire(*takes)
        connection = self.connect(wire)
        for _ in range(requests):
            connection.send(Asked(b"0123456789"))
            connection.dataReceived(OK)
        return wire

    def test_a_small_request_leaves_at_once(self) -> None:
        wire = self.sent(10, 10, requests=2)
        self.assertEqual((wire.now, wire.later), ([b"0123456789"] * 2, []))

    def test_what_does_not_leave_at_once_waits_and_nothing_ever_overtakes_it(self) -> None:
        wire = self.sent(4, requests=2)
        self.assertEqual((wire.now, wire.later), ([b"0123"], [b"456789", b"0123456789"]))

    def test_a_lost_connection_is_for_the_transport_to_find(self) -> None:
        wire = self.sent(ConnectionLost())
        self.assertEqual((wire.now, wire.later), ([], [b"0123456789"]))

    def test_a_transport_that_turned_to_tls_is_not_gone_round_either(self) -> None:
        wire = Wire()
        wire.TLS = True
        self.ask(Asked(b"secret"), self.connect(wire))
        self.assertEqual((wire.now, wire.later), ([], [b"secret"]))

    def test_a_large_request_leaves_nothing_behind(self) -> None:
        class Noting(StringTransport):
            registered = 0

            def registerProducer(self, producer: Any, streaming: bool) -> None:
                super().registerProducer(producer, streaming)
                self.registered += 1

            def unregisterProducer(self) -> None:
                super().unregisterProducer()
                self.registered -= 1

        transport = Noting()
        connection = self.connect(transport)
        for size in (100_000, 10, 100_000, 10):
            self.ask(Asked(b"x" * size), connection)
            connection.dataReceived(OK)
            self.assertEqual(transport.registered, 0)
        self.assertEqual(len(transport.value()), 200_020)

    def test_what_wraps_a_transport_is_written_to_and_never_gone_round(self) -> None:
        class Wrapping:
            """As TLS does it: unknown names are those of the transport below."""

            def __init__(self) -> None:
                self.below = Wire()
                self.written: list[bytes] = []

            def __getattr__(self, name: str) -> object:
                return getattr(self.below, name)

            def write(self, data: bytes) -> None:
                self.written.append(data)

        wrapping = Wrapping()
        self.ask(Asked(b"secret"), self.connect(wrapping, secure=True))
        self.assertEqual((wrapping.written, wrapping.below.now, wrapping.below.later), ([b"secret"], [], []))

    def test_an_answer_before_a_large_request_was_sent_ends_the_connection(self) -> None:
        for drained, kept in ((False, 0), (True, 1)):
            self.free.clear()
            connection = self.connect()
            asked = Asked(b"x" * 1_000_000)
            self.ask(asked, connection)
            producer: Any = connection.transport.producer
            producer.pauseProducing()
            if drained:
                producer.resumeProducing()
            connection.dataReceived(OK)
            self.assertIs(asked.told[-1], True)
            self.assertIsNone(connection.transport.producer)
            self.assertEqual((len(self.free), connection.transport.disconnecting), (kept, not drained))


class ReadinessTests(ConnectionCase):
    def test_tls_makes_it_ready_only_after_the_handshake(self) -> None:
        connection = self.connect(secure=True)
        self.assertNoResult(connection.ready)
        connection.handshakeCompleted()
        self.successResultOf(connection.ready)

    def test_one_that_never_becomes_ready_says_why_and_belongs_to_nobody(self) -> None:
        connection, why = self.connect(secure=True), ConnectionLost()
        connection.connectionLost(Failure(why))
        self.assertIs(self.failureResultOf(connection.ready).value, why)
        self.assertEqual(self.gone, [])

    def test_giving_up_closes_it(self) -> None:
        connection = self.connect(secure=True)
        connection.ready.cancel()
        self.failureResultOf(connection.ready)
        self.assertTrue(connection.transport.disconnected)

    def test_a_peer_that_says_no_goodbye_is_left(self) -> None:
        connection = self.connect()
        connection.close()
        self.assertFalse(connection.transport.disconnected)
        self.clock.advance(5.0)
        self.assertTrue(connection.transport.disconnected)
        connection.connectionLost(Failure(ConnectionDone()))

    def test_a_peer_that_does_is_not_waited_for(self) -> None:
        connection = self.connect()
        connection.close()
        connection.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
