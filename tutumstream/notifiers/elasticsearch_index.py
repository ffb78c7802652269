"""The index that a document goes to: one for all, or one for each day, week or hour. Pure.

Rules for names: Elasticsearch's reference, "Create an index"; OpenSearch keeps the same.
"""

import re
from datetime import UTC, datetime
from typing import Final

DEFAULT: Final = "tutum-events"

BYTES: Final = 255
"""How long an index's name may be."""

CODES: Final = "YmdHjGV"
"""Of strftime: year, month, day, hour, day of the year, and the year and number of the ISO week."""

_CODE = re.compile(r"%(.?)", re.DOTALL)
_FORBIDDEN = re.compile(r'[\\/*?"<>|,#:\s\x00-\x1f\x7f]')


class IndexName:
    """A name, in which strftime's codes stand for the moment at which an event was received, in UTC.

    Args:
        pattern: `tutum-events`, `tutum-events-%Y.%m.%d`.

    Raises:
        ValueError: no index can have such a name; the text says why.
    """

    def __init__(self, pattern: str) -> None:
        _check(pattern)
        self.pattern = pattern
        self._fixed = "%" not in pattern

    def __repr__(self) -> str:
        return f"<index {self.pattern}>"

    def at(self, seconds: float) -> str:
        """The index for an event that was received then, seconds since 1970."""
        return self.pattern if self._fixed else datetime.fromtimestamp(seconds, UTC).strftime(self.pattern)

    @property
    def stem(self) -> str:
        """What all of its indices begin with, without the dash or dot before the first code."""
        return self.pattern.partition("%")[0].rstrip("-._")

    @property
    def wildcards(self) -> list[str]:
        """Patterns, as an index template wants them, for its indices and for the numbered ones behind an alias."""
        return [self.pattern, f"{self.pattern}-*"] if self._fixed else [_CODE.sub("*", self.pattern)]


def _check(pattern: str) -> None:
    for code in _CODE.findall(pattern):
        if code not in CODES or not code:
            raise ValueError(f"%{code} can't be in an index's name; there are {', '.join('%' + one for one in CODES)}")
    fixed = _CODE.sub("", pattern)
    if fixed != fixed.lower():
        raise ValueError("an index's name is all lower case")
    if found := _FORBIDDEN.search(fixed):
        raise ValueError(f"an index's name holds no {found[0]!r}")
    if not pattern or pattern[0] in "-_+.%":
        raise ValueError("an index's name begins with a letter or a digit")
    if len(pattern.replace("%Y", "2015").replace("%G", "2015").replace("%j", "001").encode()) > BYTES:
        raise ValueError(f"an index's name is at most {BYTES} bytes long")
