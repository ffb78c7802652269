from sys import getrecursionlimit
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from tests.net.servers import Says
from tests.net.wire import Network
from tutumstream.errors import ExchangeError
from tutumstream.net.fast_client import FastClient
from tutumstream.net.http import Answer
from tutumstream.net.pool import IDLE_SECONDS

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SINK = "http://sink.example"


class Waits(Protocol):
    """Notes what it is asked for, and answers only when told to."""

    transport: Any

    def __init__(self, asked: list[bytes]) -> None:
        self._asked = asked

    def dataReceived(self, data: bytes) -> None:
        self._asked.append(data.split(b" ")[1])

    def answer(self) -> None:
        self.transport.write(OK)


class PoolCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.network = Network()
        self.asked: list[bytes] = []
        self.servers: list[Waits] = []
        self.network.host("sink.example:80", Factory.forProtocol(self.serve))

    def serve(self) -> Waits:
        self.servers.append(Waits(self.asked))
        return self.servers[-1]

    def start(self, **settings: Any) -> None:
        self.pool = self.network.pool(**settings)
        self.http = FastClient(self.pool, self.network.clock)

    def exchange(self, path: str = "/", **settings: Any) -> Deferred[Answer]:
        exchanged = self.http.exchange("POST", SINK + path, **settings)
        self.network.settle()
        return exchanged

    def answer(self, *numbers: int) -> None:
        """Let these connections answer, all of them by default."""
        for number in numbers or range(len(self.servers)):
            self.servers[number].answer()
        self.network.settle()


class LineTests(PoolCase):
    """One connection for each exchange, as far as they go."""

    def test_no_more_connections_than_allowed_and_the_rest_waits_in_line(self) -> None:
        self.start(size=2)
        exchanges = [self.exchange(f"/{number}") for number in range(6)]
        self.assertEqual(len(self.network.dialled), 2)
        self.assertEqual(self.asked, [b"/0", b"/1"])
        for number in range(6):
            self.answer(number % 2)
            self.successResultOf(exchanges[number])
        self.assertEqual(self.asked, [f"/{number}".encode() for number in range(6)])
        self.assertEqual(len(self.network.dialled), 2)

    def test_fifty_at_once_by_default(self) -> None:
        self.start()
        for _ in range(60):
            self.exchange()
        self.assertEqual(len(self.network.dialled), 50)

    def test_each_server_has_connections_of_its_own(self) -> None:
        self.start(size=1)
        self.network.host("other.example:80", Factory.forProtocol(lambda: Says(OK)))
        self.exchange()
        other = self.http.exchange("GET", "http://other.example/")
        self.network.settle()
        self.assertEqual(self.successResultOf(other).body, b"ok")

    def test_one_that_waits_in_line_is_late_too(self) -> None:
        self.start(size=1)
        first = self.exchange("/first", timeout=20.0)
        second = self.exchange("/second", timeout=5.0)
        self.network.settle(5.0)
        problem = self.failureResultOf(second, ExchangeError).value
        self.assertEqual(str(problem), f"{SINK}: no whole answer within 5 s")
        self.answer(0)
        self.successResultOf(first)
        self.assertEqual(self.asked, [b"/first"])

    def test_one_that_is_cancelled_in_line_is_never_sent_and_holds_nobody_up(self) -> None:
        self.start(size=1)
        first, second, third = self.exchange("/first"), self.exchange("/second"), self.exchange("/third")
        second.cancel()
        self.failureResultOf(second)
        self.answer(0)
        self.answer(0)
        self.successResultOf(first)
        self.successResultOf(third)
        self.assertEqual(self.asked, [b"/first", b"/third"])

    def test_one_that_is_cancelled_frees_its_place(self) -> None:
        self.start(size=1)
        first, second = self.exchange("/first"), self.exchange("/second")
        first.cancel()
        self.failureResultOf(first)
        self.network.settle()
        self.answer(1)
        self.successResultOf(second)

    def test_where_nobody_listens_each_is_told(self) -> None:
        self.start(size=3)
        self.network.host("sink.example:80", Refused())
        for exchanged in [self.exchange() for _ in range(10)]:
            self.assertEqual(self.failureResultOf(exchanged, ExchangeError).value.problem, "it refused the connection")

    def test_a_long_line_is_told_without_going_deep(self) -> None:
        self.start(size=1)
        exchanges = [self.exchange(), *(self.http.exchange("POST", SINK) for _ in range(getrecursionlimit()))]
        self.network.host("sink.example:80", Refused())
        self.servers[0].transport.loseConnection()
        self.network.settle()
        for exchanged in exchanges:
            self.failureResultOf(exchanged, ExchangeError)


class DialTests(PoolCase):
    def test_a_connection_that_takes_too_long_is_given_up(self) -> None:
        self.start(connect_seconds=3.0)
        dials = self.network.hang("sink.example:80")
        exchanged = self.exchange(timeout=60.0)
        self.network.settle(3.0)
        self.assertEqual(self.failureResultOf(exchanged, ExchangeError).value.problem, "it did not answer in time")
        self.assertTrue(dials[0].given_up)

    def test_a_handshake_that_takes_too_long_is_given_up(self) -> None:
        self.start(connect_seconds=3.0)
        self.network.host("sink.example:443", Factory.forProtocol(Protocol))
        exchanged = self.http.exchange("GET", "https://sink.example/", timeout=60.0)
        self.network.settle(3.0)
        self.assertEqual(self.failureResultOf(exchanged, ExchangeError).value.problem, "it did not answer in time")
        self.network.settle()
        self.assertEqual(self.network.open_connections(), 0)

    def test_a_dial_that_nobody_waits_for_any_more_is_given_up(self) -> None:
        self.start()
        dials = self.network.hang("sink.example:80")
        first, second = self.exchange(), self.exchange()
        second.cancel()
        self.failureResultOf(second)
        self.assertEqual([dial.given_up for dial in dials], [True, False])
        dials[1].arrive(Factory.forProtocol(lambda: Says(OK)))
        self.successResultOf(first)

    def test_a_connection_made_for_one_who_was_served_meanwhile_is_kept(self) -> None:
        self.start(size=2)
        first = self.exchange("/first")
        dials = self.network.hang("sink.example:80")
        second = self.exchange("/second")
        self.answer(0)
        self.assertEqual(self.asked, [b"/first", b"/second"])
        dials[0].arrive(Factory.forProtocol(self.serve))
        third = self.exchange("/third")
        self.assertEqual((self.asked[2], len(self.network.dialled)), (b"/third", 2))
        self.answer()
        for exchanged in (first, second, third):
            self.successResultOf(exchanged)

    def test_a_dial_that_fails_with_nobody_in_line_is_nothing_to_tell(self) -> None:
        self.start(size=2)
        self.exchange("/first")
        dials = self.network.hang("sink.example:80")
        second = self.exchange("/second")
        self.answer(0)
        dials[0].fail(Refused())
        self.answer(0)
        self.successResultOf(second)

    def test_a_name_that_tls_can_not_verify_is_trouble(self) -> None:
        self.start()
        problem = self.failureResultOf(self.http.exchange("GET", "https://an_underscore.example/hidden"), ExchangeError)
        self.assertIn("no certificate can be for this host", problem.value.problem)
        self.assertNotIn("hidden", str(problem.value))

    def test_urls_are_not_remembered_for_ever(self) -> None:
        self.start(remembered=50)
        self.network.host("other.example:80", Factory.forProtocol(lambda: Says(OK)))
        kept = self.exchange("/kept")
        for number in range(75):
            self.http.exchange("GET", f"http://h{number}.example/").addErrback(lambda _: None)
        self.assertLess(len(self.pool._places), 50)
        self.assertLess(len(self.pool._servers), 50)
        self.answer(0)
        self.successResultOf(kept)
        self.exchange("/again")
        self.assertEqual(self.network.dialled.count("sink.example:80"), 1)


class OnceMoreTests(PoolCase):
    """Requests that a kept connection failed before it heard a byte."""

    def idle(self, number: int) -> None:
        """That many connections, used and idle."""
        for _ in range(number):
            self.exchange()
        self.answer()
        self.asked.clear()

    def hang_up(self, number: int) -> None:
        self.servers[number].transport.loseConnection()
        self.network.settle()

    def test_it_goes_to_a_new_connection_though_others_are_idle(self) -> None:
        self.start()
        self.idle(2)
        exchanged = self.exchange("/once", idempotent=True)
        self.hang_up(1)
        self.assertEqual((len(self.servers), self.asked), (3, [b"/once", b"/once"]))
        self.answer(2)
        self.successResultOf(exchanged)

    def test_not_without_leave(self) -> None:
        self.start()
        self.idle(1)
        exchanged = self.exchange("/once")
        self.hang_up(0)
        self.assertEqual(self.failureResultOf(exchanged, ExchangeError).value.problem, "it closed the connection")
        self.assertEqual(self.asked, [b"/once"])

    def test_not_a_third_time(self) -> None:
        self.start()
        self.idle(1)
        exchanged = self.exchange("/once", idempotent=True)
        self.hang_up(0)
        self.hang_up(1)
        self.failureResultOf(exchanged, ExchangeError)
        self.assertEqual(self.asked, [b"/once", b"/once"])

    def test_not_where_the_connection_was_new(self) -> None:
        self.start()
        exchanged = self.exchange("/once", idempotent=True)
        self.hang_up(0)
        self.failureResultOf(exchanged, ExchangeError)
        self.assertEqual(self.asked, [b"/once"])

    def test_not_after_a_byte_of_the_answer(self) -> None:
        self.start()
        self.idle(1)
        exchanged = self.exchange("/once", idempotent=True)
        self.servers[0].transport.write(b"H")
        self.hang_up(0)
        self.failureResultOf(exchanged, ExchangeError)
        self.assertEqual(self.asked, [b"/once"])

    def test_before_those_in_line(self) -> None:
        self.start(size=1)
        self.idle(1)
        self.exchange("/once", idempotent=True)
        self.exchange("/later")
        self.hang_up(0)
        self.answer(1)
        self.assertEqual(self.asked, [b"/once", b"/once", b"/later"])

    def test_it_is_the_first_to_be_told_that_there_is_no_new_connection(self) -> None:
        self.start(size=2)
        self.idle(1)
        once = self.exchange("/once", idempotent=True)
        dials = self.network.hang("sink.example:80")
        later = self.exchange("/later")
        self.hang_up(0)
        dials[0].fail(Refused())
        self.failureResultOf(once, ExchangeError)
        self.assertNoResult(later)

    def test_its_time_runs_on_and_it_can_be_cancelled(self) -> None:
        self.start()
        for end in ("late", "cancelled"):
            self.network.host("sink.example:80", Factory.forProtocol(self.serve))
            self.servers.clear()
            self.idle(1)
            exchanged = self.exchange("/once", idempotent=True, timeout=2.0)
            dials = self.network.hang("sink.example:80")
            self.hang_up(0)
            if end == "late":
                self.network.settle(2.0)
                self.failureResultOf(exchanged, ExchangeError)
            else:
                exchanged.cancel()
                self.failureResultOf(exchanged)
            self.assertTrue(dials[0].given_up)


class IdleTests(PoolCase):
    """What happens to connections that nobody needs."""

    def used(self, number: int) -> None:
        """That many connections, used and idle."""
        for _ in range(number):
            self.exchange()
        self.answer()
        self.assertEqual(self.network.open_connections(), number)

    def test_they_are_closed_after_a_while(self) -> None:
        self.start()
        self.used(3)
        self.network.settle(IDLE_SECONDS - 0.1)
        self.assertEqual(self.network.open_connections(), 3)
        self.network.settle(0.1)
        self.assertEqual(self.network.open_connections(), 0)
        self.network.settle()
        self.assertEqual(self.network.clock.getDelayedCalls(), [])

    def test_one_that_speaks_unasked_is_not_used_though_it_is_not_closed_yet(self) -> None:
        self.start()
        self.used(1)
        (connection,) = self.pool.place(SINK + "/")[1]._idle
        connection.dataReceived(OK)
        exchanged = self.exchange("/next")
        self.answer(1)
        self.successResultOf(exchanged)

    def test_each_has_its_own_time(self) -> None:
        self.start()
        self.used(2)
        self.network.settle(10.0)
        self.exchange()
        self.answer(1)
        for seconds, left in ((19.9, 2), (0.1, 1), (9.9, 1), (0.1, 0)):
            self.network.settle(seconds)
            self.assertEqual(self.network.open_connections(), left)

    def test_what_is_needed_stays_and_the_rest_grows_old(self) -> None:
        self.start()
        self.used(3)
        for _ in range(4):
            self.network.settle(10.0)
            exchanged = self.exchange()
            self.answer(2)
            self.successResultOf(exchanged)
        self.assertEqual(self.network.open_connections(), 1)
        self.assertEqual(len(self.network.dialled), 3)
        self.network.settle(IDLE_SECONDS)
        self.assertEqual(self.network.open_connections(), 0)

    def test_they_can_be_closed_at_once_and_it_is_told_when_they_are(self) -> None:
        self.start()
        self.used(2)
        closed = self.pool.close_idle()
        self.assertNoResult(closed)
        self.network.settle()
        self.successResultOf(closed)
        self.assertEqual(self.network.open_connections(), 0)
        self.network.settle(IDLE_SECONDS)

    def test_what_is_under_way_is_not_closed_with_them(self) -> None:
        self.start()
        exchanged = self.exchange()
        self.successResultOf(self.pool.close_idle())
        self.answer(0)
        self.successResultOf(exchanged)
