"""The state of the connection to the stream: frozen values, replaced whole."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotBegun:
    """The journal is read first; or the gateway of our own looks at its engine."""

    def __str__(self) -> str:
        return "not begun yet"


@dataclass(frozen=True, slots=True)
class Connecting:
    """On the way: `since` seconds since 1970."""

    since: float

    def __str__(self) -> str:
        return "connecting"


@dataclass(frozen=True, slots=True)
class Connected:
    """The upgrade was accepted."""

    since: float

    def __str__(self) -> str:
        return "connected"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Lost or never reached; the next try comes at `until`.

    Attributes:
        since: when it was lost.
        until: when the next try begins.
        reason: why, in words.
        refused: the credentials were not taken, so tries are rare.
    """

    since: float
    until: float
    reason: str
    refused: bool = False

    def __str__(self) -> str:
        return f"{'refused' if self.refused else 'lost'}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Stopped:
    """Ended on purpose."""

    def __str__(self) -> str:
        return "stopped"


Connection = NotBegun | Connecting | Connected | Waiting | Stopped
