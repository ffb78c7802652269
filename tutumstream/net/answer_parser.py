"""Bytes become the answer to a request: httptools' parser (llhttp, in C), and what it leaves to us. No I/O.

The parser is strict about framing. Ours are: an answer that nobody asked for, interim answers, answers to HEAD, bodies
that end with their connection, and how much a server may say that is no body.
"""

from typing import Any, Final, Protocol

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser
from twisted.python.failure import Failure

from tutumstream.errors import ExchangeError

HEAD_LIMIT: Final = 65536
"""Bytes of an answer's headers, interim answers included, and of whatever else is no body."""


class Reader(Protocol):
    """Who is told an answer: `begins`, `receives` as often as it takes, `ends`; or `fails` at any time.

    Attributes:
        bodiless: the answer has no body whatever it says: it answers a HEAD.
    """

    bodiless: bool

    def begins(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """The head of the answer: names as the server wrote them, in its order."""

    def receives(self, data: bytes) -> None:
        """Some of the body."""

    def ends(self, whole: bool) -> None:
        """That was the answer. `whole` is False where it had no length and its connection was cut."""

    def fails(self, problem: Failure) -> None:
        """There will be no whole answer."""


class AnswerParser:
    """Parses the answers that come over one connection, one after the other; whoever feeds it tells how they end.

    Args:
        origin: how the server is named in troubles.

    Attributes:
        heard: a byte of this answer came.
        over: this answer is whole.
        keep: the connection may be used for the next request; known when `over`.
        trouble: why there can be no answer.
    """

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._parser: Any = HttpResponseParser(self)
        # Folded headers must be taken (RFC 9112, 5.2), and lines may end without CR (2.2).
        self._parser.set_dangerous_leniencies(lenient_headers=True, lenient_optional_cr_before_lf=True)
        self.expect(None)

    def expect(self, reader: Reader | None) -> None:
        """The next bytes are the answer for this reader; None: for nobody."""
        self.heard = False
        self.over = False
        self.keep = True
        self.trouble: BaseException | None = None
        self._reader = reader
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._no_body_size = 0
        self._interim = False
        self._begun = False

    def forget(self) -> None:
        """Tell the reader nothing more."""
        self._reader = None

    def feed(self, data: bytes) -> None:
        """Take what came, and tell the reader of it; `over` and `trouble` say where that led."""
        self.heard = True
        self._no_body_size += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as problem:
            self.keep = False
            self.trouble = self._explained(problem)
        if self._no_body_size > HEAD_LIMIT and self.trouble is None:
            self.trouble = self._too_long()

    @property
    def ends_with_connection(self) -> bool:
        """Whether the answer has begun and does not say where its body ends (RFC 9112, 6.3)."""
        return self._begun and not any(
            name.lower() == b"content-length"
            or (name.lower() == b"transfer-encoding" and value.lower().rstrip().endswith(b"chunked"))
            for name, value in self._headers
        )

    def _explained(self, problem: BaseException) -> BaseException:
        if isinstance(problem, HttpParserCallbackError) and problem.__context__ is not None:
            problem = problem.__context__  # what one of the methods below raised
        if isinstance(problem, HttpParserError | HttpParserUpgrade):
            return ExchangeError(self._origin, "its answer is not valid HTTP")
        return problem

    def _too_long(self) -> ExchangeError:
        return ExchangeError(self._origin, f"the headers of its answer are longer than {HEAD_LIMIT} bytes")

    # What the parser calls while it is fed; an error raised here stops it.

    def on_message_begin(self) -> None:
        if self.over:
            raise HttpParserError("an answer that nobody asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value) + 4
        if not self._begun:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._head_size > HEAD_LIMIT:
            raise self._too_long()
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._interim = True
            self._headers.clear()
            return
        self._begun = True
        if self._reader is not None:
            # The parser can't know that no body comes to a HEAD; so nothing more is asked of it.
            self.over = self._reader.bodiless
            self.keep = not self.over
            self._reader.begins(status, self._headers)

    def on_body(self, data: bytes) -> None:
        self._no_body_size = 0
        if self._reader is not None and not self.over:
            self._reader.receives(data)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
            return
        self.over = True
        # Asked now, for the parser forgets it before it returns.
        self.keep = self.keep and self._parser.should_keep_alive()
