"""Servers that misbehave in every way that HTTP allows, and some that it does not; on top of `contracts_exchanges`.

Two promises hold whatever a server does: each exchange ends, with its own answer or with trouble; and the next one is
not troubled by it.
"""

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from tests.net.servers import OneAfterTheOther, Says, Scripted, answering
from tests.net.wire import Network
from tutumstream.errors import ExchangeError
from tutumstream.net.http import Answer

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as _Case
else:
    _Case = object

URL = "http://sink.example/hooks"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

NO_ANSWERS = {
    "garbage": b"\x16\x03\x01\x02\x00" * 20 + b"\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a length below zero": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    "a length with a sign": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "a length in words": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "a header without a colon": b"HTTP/1.1 200 OK\r\nnothing\r\nContent-Length: 2\r\n\r\nok",
    "a chunk of no length": CHUNKED + b"zz\r\nok\r\n0\r\n\r\n",
    "a chunk below zero": CHUNKED + b"-1\r\nok\r\n0\r\n\r\n",
    "a chunk that is longer than it says": CHUNKED + b"2\r\nokay\r\n0\r\n\r\n",
    "a header that does not end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\nContent-Length: 0\r\n\r\n",
}

CUT_ANSWERS = {
    "nothing": b"",
    "half a status line": b"HTTP/1.1 2",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "an interim answer only": b"HTTP/1.1 100 Continue\r\n\r\n",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    "half a chunk": CHUNKED + b"9\r\nabc",
    "no last chunk": CHUNKED + b"2\r\nok\r\n",
}

GOOD_ANSWERS = {
    "an interim answer first": b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    "several of them": b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
    "chunks with extensions and trailers": CHUNKED + b"1;a=b\r\no\r\n1\r\nk\r\n0\r\nX-Sum: 1\r\n\r\n",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    "bytes that are no text": b"HTTP/1.1 200 OK\r\nX: \xff\xfe\r\nContent-Length: 2\r\n\r\nok",
    "a folded header": b"HTTP/1.1 200 OK\r\nX: 1,\r\n  2\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.0 with a length": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "lines that end with LF only": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
}


class MisbehavingServersContract(_Case):
    """Mix it into a `SynchronousTestCase`; `way` is one of those that the network in memory knows."""

    way: str

    def start(self, *servers: Protocol) -> None:
        """A network with these behind the host, a connection each."""
        self.network = Network()
        self.network.host("sink.example:80", OneAfterTheOther(*servers))
        self.http = self.network.client(way=self.way)

    def exchange(self, method: str = "POST", **settings: Any) -> Deferred[Answer]:
        exchanged = self.http.exchange(method, URL, None, b"{}" if method == "POST" else b"", **settings)
        self.network.settle()
        return exchanged

    def body(self, exchanged: Deferred[Answer]) -> bytes:
        return self.successResultOf(exchanged).body

    def assert_trouble(self, exchanged: Deferred[Answer], case: str) -> None:
        found: list[object] = []
        exchanged.addBoth(found.append)
        assert found, f"{case}: the exchange did not end"
        assert isinstance(found[0], Failure), f"{case}: {found[0]}"
        found[0].trap(ExchangeError)

    def test_what_is_no_answer_is_trouble_at_once_and_the_next_exchange_works(self) -> None:
        for case, said in NO_ANSWERS.items():
            self.start(Says(said), answering("200 OK", b"next", length=4))
            self.assert_trouble(self.exchange(), case)
            self.network.settle()
            self.assertEqual(self.network.open_connections(), 0, case)
            self.assertEqual(self.body(self.exchange()), b"next", case)

    def test_an_answer_that_is_cut_is_trouble_and_the_next_exchange_works(self) -> None:
        for case, said in CUT_ANSWERS.items():
            self.start(Says(said, close=True), answering("200 OK", b"next", length=4))
            self.assert_trouble(self.exchange(), case)
            self.assertEqual(self.body(self.exchange()), b"next", case)

    def test_answers_that_are_only_unusual_are_taken(self) -> None:
        for case, said in GOOD_ANSWERS.items():
            self.start(Says(said), Says(said))
            for _ in range(2):
                answer = self.successResultOf(self.exchange())
                self.assertEqual((answer.status, answer.body, answer.whole), (200, b"ok", True), case)

    def test_an_answer_may_come_byte_by_byte(self) -> None:
        for said in (OK, *GOOD_ANSWERS.values()):
            server = Scripted(lambda server, data: None)
            self.start(server, server)
            exchanged = self.exchange()
            for byte in said:
                self.assertNoResult(exchanged)
                server.say(bytes([byte]))
                self.network.settle()
            self.assertEqual(self.body(exchanged), b"ok")

    def test_a_server_that_drips_for_ever_ends_in_time(self) -> None:
        for head in (b"HTTP/1.1 200 OK\r\nX: ", CHUNKED + b"fffff\r\n", b"HTTP/1.1 200 OK\r\n\r\n"):
            server = Says(head)
            self.start(server)
            exchanged = self.exchange(timeout=5.0)
            transport: Any = server.transport
            for _ in range(6):
                transport.write(b"x")
                self.network.settle(0.9)
            self.assert_trouble(exchanged, repr(head))
            self.network.settle()
            self.assertEqual(self.network.open_connections(), 0)

    def test_interim_answers_without_end_end_in_time(self) -> None:
        server = Says(b"HTTP/1.1 102 Processing\r\n\r\n")
        self.start(server)
        exchanged = self.exchange(timeout=5.0)
        transport: Any = server.transport
        for _ in range(6):
            transport.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
            self.network.settle(0.9)
        self.assert_trouble(exchanged, "")

    def test_a_second_answer_for_one_request_is_nobodys(self) -> None:
        for surplus in (OK.replace(b"ok", b"no"), b"HTTP/1.1 5", b"garbage", b"\r\n\r\n"):
            first = Scripted(lambda server, _, said=OK + surplus: server.say(OK if server.said else said))
            self.start(first, Says(OK))
            self.assertEqual(self.body(self.exchange()), b"ok")
            self.assertEqual(self.body(self.exchange()), b"ok", surplus)

    def test_a_second_answer_that_comes_late_is_nobodys(self) -> None:
        for surplus in (OK.replace(b"ok", b"no"), b"HTTP/1.1 5", b"garbage"):
            first = Says(OK)
            self.start(first, Says(OK))
            self.assertEqual(self.body(self.exchange()), b"ok")
            transport: Any = first.transport
            transport.write(surplus)
            self.network.settle()
            self.assertEqual(self.body(self.exchange()), b"ok", surplus)

    def test_a_body_that_is_longer_than_its_length_is_cut_there(self) -> None:
        first = Scripted(lambda server, _: server.say(OK if server.said else OK + b"ay"))
        self.start(first, Says(OK))
        for _ in range(2):
            self.assertEqual(self.body(self.exchange()), b"ok")

    def test_a_body_where_there_is_none_is_nobodys(self) -> None:
        for head in (b"HTTP/1.1 204 No Content\r\n", b"HTTP/1.1 304 Not Modified\r\n"):
            said = head + b"Content-Length: 4\r\n\r\n"
            first = Scripted(lambda server, _, said=said: server.say(OK if server.said else said + b"evil"))
            self.start(first, Says(OK))
            self.assertEqual(self.body(self.exchange()), b"")
            self.assertEqual(self.body(self.exchange()), b"ok")

    def test_a_body_for_a_head_is_nobodys(self) -> None:
        self.start(Says(OK), Says(OK))
        self.assertEqual(self.body(self.exchange("HEAD")), b"")
        self.assertEqual(self.body(self.exchange()), b"ok")

    def test_an_answer_may_come_before_the_request(self) -> None:
        class Eager(Protocol):
            def connectionMade(self) -> None:
                transport: Any = self.transport
                transport.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                transport.loseConnection()

        self.start(Eager(), Says(OK))
        self.assertEqual(self.successResultOf(self.exchange()).status, 408)
        self.assertEqual(self.body(self.exchange()), b"ok")

    def test_a_connection_that_the_server_will_close_is_not_used_again(self) -> None:
        for head in (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", b"HTTP/1.0 200 OK\r\n"):
            self.start(Says(head + b"\r\nok", close=True), Says(OK))
            self.assertEqual(self.body(self.exchange()), b"ok")
            self.assertEqual(self.body(self.exchange()), b"ok")
            self.assertEqual(len(self.network.dialled), 2)

    def test_a_connection_that_an_old_server_closes_without_a_word_is_not_used_again(self) -> None:
        old = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"
        # Its end comes a moment later, and must not meet the next request.
        self.start(Says(old), Says(old), Says(old))
        for _ in range(3):
            self.assertEqual(self.body(self.exchange()), b"ok")
        self.assertEqual(len(self.network.dialled), 3)

    def test_a_kept_connection_that_was_closed_meanwhile_is_not_used_again(self) -> None:
        first = Says(OK)
        self.start(first, Says(OK))
        self.assertEqual(self.body(self.exchange()), b"ok")
        transport: Any = first.transport
        transport.loseConnection()
        self.network.settle()
        self.assertEqual(self.body(self.exchange()), b"ok")
        self.assertEqual(len(self.network.dialled), 2)

    def test_a_get_that_a_kept_connection_failed_is_sent_once_more(self) -> None:
        def once(server: Scripted, _: bytes) -> None:
            server.transport.loseConnection() if server.said else server.say(OK)

        self.start(Scripted(once), Says(OK))
        self.assertEqual(self.body(self.exchange()), b"ok")
        self.assertEqual(self.body(self.exchange("GET")), b"ok")
        self.assertEqual(len(self.network.dialled), 2)

    def test_a_post_that_a_kept_connection_failed_is_trouble(self) -> None:
        def once(server: Scripted, _: bytes) -> None:
            server.transport.loseConnection() if server.said else server.say(OK)

        self.start(Scripted(once), Says(OK))
        self.assertEqual(self.body(self.exchange()), b"ok")
        self.assert_trouble(self.exchange(), "")
        self.assertEqual(len(self.network.dialled), 1)
