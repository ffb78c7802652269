"""One URL, ready to be asked: what is the same in all its requests is written once, only the values come new."""

import re
from collections.abc import Sequence
from typing import Final

from tutumstream.errors import ExchangeError
from tutumstream.net.address import Address
from tutumstream.net.agent import USER_AGENT

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What a method and a header's name are made of (RFC 9110, 5.6.2)."""

_OURS: Final = frozenset({"connection", "content-length", "transfer-encoding"})
"""Where a message ends is for the connection to say; two opinions about it are how requests are smuggled."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Nothing happens by them, so they may be sent twice (RFC 9110, 9.2.1)."""

_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
"""These say how long their body is, even when they have none (RFC 9110, 8.6)."""

_FORMS: Final = 64
"""Kinds of requests that are remembered for one URL; more come only from header names that are made up on the way."""

_Form = tuple[str, tuple[str, ...], bool]


class Target:
    """Makes the bytes of requests to one URL. Holds its secrets, and shows none of them.

    Attributes:
        origin: `scheme://host[:port]`.
    """

    def __init__(self, address: Address) -> None:
        self.origin = address.origin
        self._path = address.url[len(address.origin) :]
        self._authorization = address.authorization
        self._templates: dict[_Form, tuple[str, int]] = {}

    def __repr__(self) -> str:
        return f"<target at {self.origin}>"

    def request(self, method: str, names: tuple[str, ...], values: Sequence[str], body: bytes) -> bytes:
        """Head and body of one request.

        Args:
            names: of the headers, beside those that every request has; they win over `Host`, `User-Agent` and what
                user and password of the URL make.
            values: one for each name.

        Raises:
            ExchangeError: it can't be sent as it is; the text holds no header's value.
        """
        framed = bool(body) or method in _WITH_BODY
        form = (method, names, framed)
        template, lines = self._templates.get(form) or self._template(form)
        head = template % ((*values, len(body)) if framed else tuple(values))
        # A line more than planned was smuggled in by a value. Counting is what is fastest.
        if head.count("\n") != lines or head.count("\r") != lines or "\0" in head:
            raise self._refusal(f"the header {_culprit(names, values)} can't be sent: it holds a line break or NUL")
        try:
            return head.encode("utf-8", "surrogateescape") + body
        except UnicodeEncodeError:
            raise self._refusal("a header can't be sent: it holds half a character") from None

    def _template(self, form: _Form) -> tuple[str, int]:
        method, names, framed = form
        if not _TOKEN.fullmatch(method):
            raise self._refusal("the method is no word")
        given = {name.lower() for name in names}
        for name in names:
            if not _TOKEN.fullmatch(name):
                raise self._refusal("a header's name is no word")
            if name.lower() in _OURS:
                raise self._refusal(f"the header {name} is not for the caller to set")
        lines = [f"{method} {self._path} HTTP/1.1"]
        if "host" not in given:
            lines.append(f"Host: {self.origin.partition('://')[2]}")
        if "user-agent" not in given:
            lines.append(f"User-Agent: {USER_AGENT}")
        if self._authorization is not None and "authorization" not in given:
            lines.append(f"Authorization: {self._authorization}")
        lines = [line.replace("%", "%%") for line in lines]
        lines += [f"{name.replace('%', '%%')}: %s" for name in names]
        if framed:
            lines.append("Content-Length: %d")
        made = "\r\n".join((*lines, "", "")), len(lines) + 1
        if len(self._templates) >= _FORMS:
            self._templates.clear()
        self._templates[form] = made
        return made

    def _refusal(self, problem: str) -> ExchangeError:
        return ExchangeError(self.origin, problem)


def _culprit(names: Sequence[str], values: Sequence[str]) -> str:
    return next(name for name, value in zip(names, values, strict=True) if not {"\r", "\n", "\0"}.isdisjoint(value))
