import gzip
import inspect
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from tests.contracts_exchanges import ExchangesContract
from tests.contracts_misbehaving import MisbehavingServersContract
from tests.net.servers import Says
from tests.net.wire import Network
from tutumstream.errors import ExchangeError
from tutumstream.net.fast_agent import FastAgent
from tutumstream.net.fast_client import AnswerHeaders, FastClient
from tutumstream.net.http import Answer, Exchanges, HttpClient


class FastClientTests(ExchangesContract, SynchronousTestCase):
    way = "fast"


class MisbehavingServersTests(MisbehavingServersContract, SynchronousTestCase):
    way = "fast"


class OwnTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.network = Network()
        self.pool = self.network.pool()
        self.http = FastClient(self.pool, self.network.clock)

    def answer(self, said: bytes, **settings: Any) -> Answer:
        self.pool.close_idle()
        self.network.settle()
        server = Says(said)
        self.network.host("sink.example:80", Factory.forProtocol(lambda: server))
        exchanged = self.http.exchange("POST", "http://sink.example/", **settings)
        self.network.settle()
        self.received = server.received
        return self.successResultOf(exchanged)

    def packed(self, body: bytes, coding: str = "gzip") -> bytes:
        return f"HTTP/1.1 200 OK\r\nContent-encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def test_it_keeps_the_contract_of_exchanges(self) -> None:
        ways: list[Exchanges] = [self.http, HttpClient(FastAgent(self.network.pool()), self.network.clock)]
        mine, theirs = (inspect.signature(type(way).exchange) for way in ways)
        self.assertEqual(mine, theirs)
        self.assertEqual(mine, inspect.signature(Exchanges.exchange))

    def test_headers_are_a_mapping_by_lower_case_name(self) -> None:
        headers = AnswerHeaders([(b"X-A", b"1"), (b"x-a", b"2"), (b"Y", b"\xff")])
        self.assertEqual(headers, {"x-a": "1", "y": "\ufffd"})
        self.assertEqual((list(headers), len(headers), repr(headers)), (["x-a", "y"], 2, "{'x-a': '1', 'y': '\ufffd'}"))
        self.assertIsNone(headers.get("z"))

    def test_trailers_are_no_headers(self) -> None:
        answer = self.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nRetry-After: 9\r\n\r\n")
        self.assertEqual(list(answer.headers), ["transfer-encoding"])

    def test_what_is_over_is_never_late(self) -> None:
        self.answer(b"HTTP/1.1 204 No Content\r\n\r\n")
        cancelled = self.http.exchange("POST", "http://sink.example/")
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        self.failureResultOf(self.http.exchange("POST", "http://nobody.example/"), ExchangeError)
        self.network.settle(60.0)

    def test_nothing_is_asked_for_in_gzip(self) -> None:
        self.answer(b"HTTP/1.1 204 No Content\r\n\r\n")
        self.assertNotIn(b"encoding", self.received.lower())

    def test_what_is_no_gzip_though_it_says_so_makes_no_body(self) -> None:
        self.assertEqual(self.answer(self.packed(b"no gzip at all")).body, b"")

    def test_another_coding_is_left_as_it_is(self) -> None:
        self.assertEqual(self.answer(self.packed(b"brotli", "br")).body, b"brotli")

    def test_a_gzip_that_was_cut_gives_what_there_is(self) -> None:
        packed = gzip.compress(bytes(range(256)) * 4)
        answer = self.answer(self.packed(packed), limit=len(packed) - 1)
        self.assertFalse(answer.whole)
        self.assertTrue((bytes(range(256)) * 4).startswith(answer.body))

    def test_a_body_in_many_pieces_is_put_together_up_to_the_limit(self) -> None:
        said = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"2\r\nxy\r\n" * 500
        whole = self.answer(said + b"0\r\n\r\n", limit=1000)
        self.assertEqual((whole.body, whole.whole), (b"xy" * 500, True))
        cut = self.answer(said, limit=999)
        self.assertEqual((cut.body, cut.whole), ((b"xy" * 500)[:999], False))

    def test_a_limit_of_nothing_takes_an_answer_without_body(self) -> None:
        said = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self.assertEqual(self.answer(said, limit=0), Answer(200, {"content-length": "2"}, b"", whole=False))

    def test_a_header_that_would_become_two_is_refused_and_nothing_is_sent(self) -> None:
        problem = self.failureResultOf(
            self.http.exchange("POST", "http://sink.example/", {"X-Mine": "a\r\nX-Evil: 1"}), ExchangeError
        ).value
        self.assertEqual(
            str(problem), "http://sink.example: the header X-Mine can't be sent: it holds a line break or NUL"
        )
        self.assertEqual(self.network.dialled, [])

    def test_whoever_is_answered_may_ask_again_at_once(self) -> None:
        server = Says(b"HTTP/1.1 204 No Content\r\n\r\n")
        self.network.host("sink.example:80", Factory.forProtocol(lambda: server))

        def again(answer: Answer) -> Deferred[Answer]:
            return self.http.exchange("POST", "http://sink.example/second")

        exchanged = self.http.exchange("POST", "http://sink.example/first").addCallback(again)
        self.network.settle()
        self.assertEqual(self.successResultOf(exchanged).status, 204)
        self.assertEqual(self.network.dialled, ["sink.example:80"])
