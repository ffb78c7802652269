from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.contracts_misbehaving import GOOD_ANSWERS, NO_ANSWERS
from tutumstream.errors import ExchangeError
from tutumstream.net.answer_parser import AnswerParser

GOOD = [*GOOD_ANSWERS.values(), b"HTTP/1.1 204 No Content\r\nX: 1\r\nX: 2\r\n\r\n"]


class Told:
    """Notes what it is told; pieces of the body are put together, as they say nothing about the answer."""

    def __init__(self, bodiless: bool = False) -> None:
        self.bodiless = bodiless
        self.head: list[object] = []
        self.body = b""

    def begins(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.head.append((status, list(headers)))

    def receives(self, data: bytes) -> None:
        self.body += data

    def ends(self, whole: bool) -> None:
        raise AssertionError("that is for the connection to say")

    def fails(self, problem: Failure) -> None:
        raise AssertionError("that is for the connection to say")


def fed(said: bytes, cuts: list[int], reader: Told | None) -> AnswerParser:
    """A parser that got these bytes in pieces, until it had enough."""
    parser = AnswerParser("http://s.example")
    parser.expect(reader)
    edges = sorted({0, len(said), *(cut % (len(said) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        parser.feed(said[start:end])
        if parser.over or parser.trouble is not None:
            break
    return parser


class AnswerParserTests(SynchronousTestCase):
    @given(st.sampled_from(GOOD), st.lists(st.integers(0, 300)))
    def test_how_bytes_come_does_not_matter(self, said: bytes, cuts: list[int]) -> None:
        whole, cut = Told(), Told()
        at_once, in_pieces = fed(said, [], whole), fed(said, cuts, cut)
        self.assertTrue(at_once.over and in_pieces.over)
        self.assertEqual(at_once.keep, in_pieces.keep)
        self.assertEqual((whole.head, whole.body), (cut.head, cut.body))
        self.assertEqual(len(whole.head), 1)

    @given(st.one_of(st.binary(), st.sampled_from(sorted(NO_ANSWERS.values()))), st.lists(st.integers(0, 300)))
    def test_whatever_comes_is_an_answer_or_trouble_or_not_over_yet(self, said: bytes, cuts: list[int]) -> None:
        for start in (
            b"",
            b"HTTP/1.1 ",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ):
            parser = fed(start + said, cuts, Told())
            if parser.trouble is not None:
                self.assertIsInstance(parser.trouble, ExchangeError)
                self.assertFalse(parser.keep)

    def test_what_nobody_waits_for_is_parsed_to_its_end(self) -> None:
        parser = fed(GOOD[0], [], None)
        self.assertTrue(parser.over and parser.keep)

    def test_one_answer_after_the_other(self) -> None:
        parser = AnswerParser("http://s.example")
        for said in GOOD:
            told = Told()
            parser.expect(told)
            self.assertFalse(parser.heard or parser.over)
            parser.feed(said)
            self.assertTrue(parser.heard and parser.over)
            self.assertEqual(len(told.head), 1)
            if not parser.keep:
                parser = AnswerParser("http://s.example")

    def test_only_a_body_that_has_no_other_end_ends_with_its_connection(self) -> None:
        for headers, expected in (
            (b"", True),
            (b"Connection: close\r\n", True),
            (b"Transfer-Encoding: gzip\r\n", True),
            (b"content-length: 5\r\n", False),
            (b"transfer-encoding: Chunked\r\n", False),
            (b"Transfer-Encoding: gzip, chunked\r\n", False),
        ):
            parser = fed(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n", [], Told())
            self.assertEqual(parser.ends_with_connection, expected, headers)
        self.assertFalse(fed(b"HTTP/1.1 200 OK\r\n", [], Told()).ends_with_connection)
