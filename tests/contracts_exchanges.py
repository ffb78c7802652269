"""What everybody who exchanges HTTP must do; `contracts_misbehaving` has the servers that do not."""

import gzip
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, DNSLookupError, NoRouteError, TCPTimedOutError
from twisted.internet.protocol import Factory

from tests.net.servers import Says, answering
from tests.net.wire import Network
from tutumstream import __version__
from tutumstream.errors import ExchangeError
from tutumstream.net.http import Answer

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as _Case
else:
    _Case = object

SECRET = "T0KEN-T0KEN-T0KEN"
URL = f"http://sink.example/hooks/{SECRET}?sig={SECRET}"


class ExchangesContract(_Case):
    """Mix it into a `SynchronousTestCase`; `way` is one of those that the network in memory knows."""

    way: str

    def setUp(self) -> None:
        self.network = Network()
        self.http = self.network.client(way=self.way)

    def serve(self, server: Says) -> Says:
        self.network.host("sink.example:80", Factory.forProtocol(lambda: server))
        return server

    def exchange(self, *args: Any, **kwargs: Any) -> Deferred[Answer]:
        exchanged = self.http.exchange(*args, **kwargs)
        self.network.settle()
        return exchanged

    def trouble(self, exchanged: Deferred[Answer]) -> ExchangeError:
        problem = self.failureResultOf(exchanged, ExchangeError).value
        self.assertNotIn(SECRET, f"{problem} {problem!r}")
        assert isinstance(problem, ExchangeError)
        return problem

    def test_one_request_gives_its_answer(self) -> None:
        server = self.serve(answering("200 OK\r\nRetry-After: 3\r\nX-A: 1\r\nX-A: 2", b"ok", length=2))
        answer = self.successResultOf(self.exchange("POST", URL, {"X-Mine": "yes"}, b'{"a":1}'))
        self.assertEqual((answer.status, answer.body, answer.whole), (200, b"ok", True))
        self.assertEqual((answer.headers["retry-after"], answer.headers["x-a"]), ("3", "1"))
        head, _, body = server.received.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(f"POST /hooks/{SECRET}?sig={SECRET} HTTP/1.1\r\n".encode()))
        self.assertIn(f"User-Agent: tutumstream/{__version__}".encode(), head)
        self.assertIn(b"X-Mine: yes", head)
        self.assertIn(b"Host: sink.example", head)
        self.assertEqual(body, b'{"a":1}')

    def test_a_get_sends_no_body(self) -> None:
        server = self.serve(answering("204 No Content"))
        self.assertEqual(self.successResultOf(self.exchange("GET", URL)).body, b"")
        self.assertTrue(server.received.startswith(b"GET "))
        self.assertTrue(server.received.endswith(b"\r\n\r\n"))

    def test_user_and_password_of_the_url_become_a_header(self) -> None:
        server = self.serve(answering("204 No Content"))
        self.successResultOf(self.exchange("GET", "http://me:p%40ss@sink.example/"))
        self.assertIn(b"Authorization: Basic bWU6cEBzcw==", server.received)
        self.assertIn(b"GET / HTTP", server.received)

    def test_an_authorization_header_wins_over_the_url(self) -> None:
        server = self.serve(answering("204 No Content"))
        self.successResultOf(self.exchange("GET", "http://me:pass@sink.example/", {"Authorization": "ApiKey k"}))
        self.assertIn(b"Authorization: ApiKey k", server.received)
        self.assertNotIn(b"Basic", server.received)

    def test_hosts_that_are_no_internet_names_are_spoken_to(self) -> None:
        for name, host in (("my_service", "my_service"), ("[2001:db8::1]", "2001:db8::1"), ("bücher.example", None)):
            self.network.host(f"{host or 'xn--bcher-kva.example'}:80", Factory.forProtocol(lambda: self.server))
            self.server = answering("204 No Content")
            self.successResultOf(self.exchange("GET", f"http://{name}/grün%2F?a=%20b&c={{}}"))
            self.assertTrue(self.server.received.startswith(b"GET /gr%C3%BCn%2F?a=%20b&c=%7B%7D HTTP/1.1\r\n"))

    def test_a_redirect_is_an_answer_and_is_not_followed(self) -> None:
        self.serve(answering("302 Found\r\nLocation: http://elsewhere.example/", length=0))
        self.assertEqual(self.successResultOf(self.exchange("GET", URL)).status, 302)
        self.assertEqual(self.network.dialled, ["sink.example:80"])

    def test_no_cookie_is_ever_sent_back(self) -> None:
        server = self.serve(answering("200 OK\r\nSet-Cookie: a=b", length=0))
        self.successResultOf(self.exchange("GET", URL))
        self.successResultOf(self.exchange("GET", URL))
        self.assertEqual(self.network.dialled, ["sink.example:80"])
        self.assertNotIn(b"Cookie", server.received)

    def test_a_connection_is_used_again(self) -> None:
        self.serve(answering("200 OK", b"ok", length=2))
        for _ in range(3):
            self.successResultOf(self.exchange("GET", URL))
        self.assertEqual(self.network.dialled, ["sink.example:80"])
        self.network.kept.closeCachedConnections()

    def test_a_body_without_length_ends_with_its_connection(self) -> None:
        self.serve(answering("200 OK", b"all of it", close=True))
        answer = self.successResultOf(self.exchange("GET", URL))
        self.assertEqual((answer.body, answer.whole), (b"all of it", True))

    def test_gzip_is_undone(self) -> None:
        packed = gzip.compress(b"x" * 3000)
        self.serve(answering("200 OK\r\nContent-Encoding: gzip", packed, length=len(packed)))
        self.assertEqual(self.successResultOf(self.exchange("GET", URL)).body, b"x" * 3000)

    def test_a_body_of_exactly_the_limit_is_whole(self) -> None:
        self.serve(answering("200 OK", b"x" * 100, length=100))
        answer = self.successResultOf(self.exchange("GET", URL, limit=100))
        self.assertEqual((len(answer.body), answer.whole), (100, True))

    def test_a_longer_body_is_cut_and_its_connection_closed(self) -> None:
        self.serve(answering("200 OK", b"x" * 200_000, length=10**9))
        answer = self.successResultOf(self.exchange("GET", URL))
        self.assertEqual((len(answer.body), answer.whole), (65536, False))
        self.network.settle()
        self.assertEqual(self.network.open_connections(), 0)

    def test_inflated_bytes_count_against_the_limit(self) -> None:
        packed = gzip.compress(b"x" * 1_000_000)
        self.serve(answering("200 OK\r\nContent-Encoding: gzip", packed, length=len(packed)))
        answer = self.successResultOf(self.exchange("GET", URL, limit=1000))
        self.assertEqual((len(answer.body), answer.whole), (1000, False))

    def test_a_server_that_never_answers_ends_in_time(self) -> None:
        self.serve(Says(b""))
        exchanged = self.exchange("GET", URL, timeout=10.0)
        self.network.settle(9.9)
        self.assertNoResult(exchanged)
        self.network.settle(0.2)
        self.assertEqual(str(self.trouble(exchanged)), "http://sink.example: no whole answer within 10 s")
        self.network.settle()
        self.assertEqual(self.network.open_connections(), 0)

    def test_a_body_that_hangs_ends_in_time_and_its_connection_is_closed(self) -> None:
        self.serve(answering("200 OK", b"some", length=100))
        exchanged = self.exchange("GET", URL)
        self.network.settle(10.1)
        self.assertIn("no whole answer", self.trouble(exchanged).problem)
        self.network.settle()
        self.assertEqual(self.network.open_connections(), 0)

    def test_a_body_that_trickles_does_not_move_the_end(self) -> None:
        server = self.serve(answering("200 OK", b"some", length=100))
        exchanged = self.exchange("GET", URL)
        for _ in range(11):
            transport: Any = server.transport
            transport.write(b".")
            self.network.settle(1.0)
        self.trouble(exchanged)

    def test_a_connection_cut_before_the_answer_is_told_as_such(self) -> None:
        self.serve(Says(b"", close=True))
        self.assertEqual(self.trouble(self.exchange("POST", URL, {}, b"x")).problem, "it closed the connection")

    def test_a_connection_cut_within_the_answer_is_told_as_such(self) -> None:
        self.serve(answering("200 OK", b"some", close=True, length=100))
        self.assertEqual(self.trouble(self.exchange("GET", URL)).problem, "it closed the connection")

    def test_a_server_that_speaks_no_http_is_trouble(self) -> None:
        self.serve(Says(b"220 mail.example ESMTP\r\n", close=True))
        self.trouble(self.exchange("GET", URL))

    def test_troubles_of_connecting_come_in_words(self) -> None:
        for problem, expected in (
            (DNSLookupError("sink.example"), "its name could not be looked up"),
            (TCPTimedOutError(), "it did not answer in time"),
            (NoRouteError(), "there is no route to it"),
            (ConnectError(113), "it could not be reached (No route to host)"),
            (ValueError(f"invalid hostname {SECRET}"), "its name or address is not valid"),
        ):
            self.network.host("sink.example:80", problem)
            self.assertEqual(self.trouble(self.exchange("GET", URL)).problem, expected)

    def test_a_refused_connection_is_told_as_such(self) -> None:
        told = self.trouble(self.exchange("GET", "http://nobody.example:81/x"))
        self.assertEqual(str(told), "http://nobody.example:81: it refused the connection")

    def test_a_url_that_is_none_is_trouble_and_not_shown(self) -> None:
        for url in (f"ftp://x/{SECRET}", f"http://[{SECRET}/", f"http:///{SECRET}", f"http://a b/{SECRET}", SECRET):
            self.assertEqual(self.trouble(self.exchange("GET", url)).host, "the address")

    def test_whoever_cancels_gets_a_cancellation(self) -> None:
        self.serve(answering("200 OK", b"some", length=100))
        exchanged = self.exchange("GET", URL)
        exchanged.cancel()
        self.failureResultOf(exchanged, CancelledError)
        self.network.settle()
        self.assertEqual(self.network.open_connections(), 0)

    def test_a_header_never_becomes_two(self) -> None:
        server = self.serve(answering("204 No Content"))
        for value in ("a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1"):
            exchanged = self.exchange("POST", URL, {"X-Mine": value}, b"b")
            exchanged.addErrback(lambda problem: problem.trap(ExchangeError))
            self.assertIsNotNone(self.successResultOf(exchanged))
        self.assertNotIn(b"\nX-Evil", server.received)
        self.assertNotIn(b"\rX-Evil", server.received)

    def test_a_post_without_body_says_so(self) -> None:
        server = self.serve(answering("204 No Content"))
        self.successResultOf(self.exchange("POST", URL))
        self.assertIn(b"Content-Length: 0\r\n", server.received)

    def test_a_head_is_answered_without_a_body(self) -> None:
        self.serve(answering("200 OK", length=1000))
        answer = self.successResultOf(self.exchange("HEAD", URL))
        self.assertEqual((answer.status, answer.headers["content-length"], answer.body), (200, "1000", b""))

    def test_a_bug_is_not_dressed_up_as_trouble(self) -> None:
        self.network.host("sink.example:80", KeyError("a bug"))
        self.failureResultOf(self.exchange("GET", URL), KeyError)
