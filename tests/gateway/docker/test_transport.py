from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone

from tutumstream.gateway.docker.transport import Feed, LineSplitter, TooLargeError, read_body


class Response:
    """As much of an IResponse as a body needs."""

    def __init__(self) -> None:
        self.transport = StringTransport()

    def deliverBody(self, body: Any) -> None:
        self.body = body
        body.makeConnection(self.transport)


class ReadBodyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.response = Response()
        self.whole = read_body(self.response, 10)  # type: ignore[arg-type]  # as much of one as is used

    def test_the_parts_make_the_whole(self) -> None:
        self.response.body.dataReceived(b"12345")
        self.response.body.dataReceived(b"67890")
        self.response.body.connectionLost(Failure(ResponseDone()))
        self.assertEqual(self.successResultOf(self.whole), b"1234567890")

    def test_too_much_closes_the_connection(self) -> None:
        self.response.body.dataReceived(b"12345678901")
        self.failureResultOf(self.whole, TooLargeError)
        self.assertTrue(self.response.transport.disconnecting)
        self.response.body.dataReceived(b"more")
        self.response.body.connectionLost(Failure(ConnectionLost()))

    def test_whoever_cancels_closes_the_connection(self) -> None:
        self.whole.cancel()
        self.assertTrue(self.response.transport.disconnecting)
        self.failureResultOf(self.whole)
        self.response.body.connectionLost(Failure(ConnectionLost()))

    def test_half_a_body_is_none(self) -> None:
        self.response.body.dataReceived(b"12345")
        self.response.body.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(self.whole, ConnectionLost)


class LineSplitterTests(SynchronousTestCase):
    @given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line)), st.data())
    def test_where_chunks_end_means_nothing(self, lines: list[bytes], data: st.DataObject) -> None:
        splitter, whole = LineSplitter(20), b"".join(line + b"\n" for line in lines)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
        chunks = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        found = [line for chunk in chunks for line in splitter.split(chunk)]
        self.assertEqual(found, [line for line in lines if line])
        self.assertEqual(splitter.dropped, 0)

    def test_a_line_that_is_too_long_is_dropped_and_counted(self) -> None:
        splitter = LineSplitter(5)
        self.assertEqual(splitter.split(b"123456\n12345\n1234"), [b"12345"])
        self.assertEqual(splitter.split(b"56789"), [])
        self.assertEqual(splitter.split(b"0\nabc\n"), [b"abc"])
        self.assertEqual(splitter.dropped, 2)


class FeedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.calls: list[str] = []
        self.feed = Feed(lambda: self.calls.append("wake"), lambda: self.calls.append("gap"), lines=100, size=4_000_000)
        self.transport = StringTransport()
        self.feed.makeConnection(self.transport)

    def test_lines_wait_in_order_and_wake_once(self) -> None:
        self.feed.dataReceived(b"1\n2\n")
        self.feed.dataReceived(b"3\n")
        self.assertEqual(self.calls, ["wake"])
        self.assertEqual(self.feed.take(2), [b"1", b"2"])
        self.assertEqual(self.feed.take(2), [b"3"])
        self.assertEqual(self.feed.take(2), [])
        self.feed.dataReceived(b"4\n")
        self.assertEqual(self.calls, ["wake", "wake"])

    def test_a_megabyte_in_one_line_passes(self) -> None:
        self.feed.dataReceived(b"x" * 1_000_000 + b"\n")
        self.assertEqual(len(self.feed.take(1)[0]), 1_000_000)

    def test_the_engine_is_never_made_to_wait(self) -> None:
        for _ in range(5):
            self.feed.dataReceived(b"x\n" * 50)
        self.assertEqual(self.transport.producerState, "producing")
        self.assertEqual(self.calls.count("gap"), 1)
        self.assertLessEqual(len(self.feed.take(10**6)), 100)

    def test_too_many_bytes_are_too_much_as_well(self) -> None:
        line = b"x" * 999_999 + b"\n"
        for _ in range(5):
            self.feed.dataReceived(line)
        self.assertEqual(self.calls.count("gap"), 1)
        self.feed.take(10)
        self.feed.dataReceived(b"1\n")
        self.assertEqual(self.feed.take(10), [b"1"])

    def test_a_line_that_is_too_long_is_a_gap(self) -> None:
        self.feed.dataReceived(b"x" * (Feed.LINE_LIMIT + 1) + b"\n1\n")
        self.assertEqual(self.calls, ["gap", "wake"])

    def test_every_end_is_told(self) -> None:
        ended = self.feed.ended()
        self.feed.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.successResultOf(ended), "the event stream ended")
        self.assertEqual(self.successResultOf(self.feed.ended()), "the event stream ended")

    def test_closing_it_ends_it_at_once_with_the_reason(self) -> None:
        self.feed.close("why")
        self.assertTrue(self.transport.disconnecting)
        self.feed.connectionLost(Failure(ConnectionLost()))
        self.feed.dataReceived(b"late\n")
        self.assertEqual(self.successResultOf(self.feed.ended()), "why")
        self.assertEqual((self.feed.take(1), self.calls), ([], []))

    def test_one_that_never_began_can_be_closed(self) -> None:
        feed = Feed(lambda: None, lambda: None)
        feed.close("why")
        self.assertEqual(self.successResultOf(feed.ended()), "why")
