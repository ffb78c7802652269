"""The state of a destination: frozen values, replaced whole. Times are seconds since 1970."""

from dataclasses import dataclass

from tutumstream.journal.interface import Standing


@dataclass(frozen=True, slots=True)
class Ok:
    """It takes what it is sent, or was not asked yet."""

    def __str__(self) -> str:
        return "ok"


@dataclass(frozen=True, slots=True)
class Limited:
    """It asked us to slow down."""

    until: float
    reason: str

    def __str__(self) -> str:
        return f"limited: {self.reason}"


@dataclass(frozen=True, slots=True)
class Held:
    """It refuses us altogether: credentials or address."""

    since: float
    reason: str

    def __str__(self) -> str:
        return f"held: {self.reason}"


@dataclass(frozen=True, slots=True)
class Failing:
    """It is in trouble, or can't be reached."""

    since: float
    reason: str

    def __str__(self) -> str:
        return f"failing: {self.reason}"


DestinationState = Ok | Limited | Held | Failing


def standing(state: DestinationState) -> Standing:
    """What of a state is worth remembering over a restart."""
    match state:
        case Limited(until, reason):
            return Standing("limited", until=until, reason=reason)
        case Held(since, reason):
            return Standing("held", since=since, reason=reason)
        case Failing(since, reason):
            return Standing("failing", since=since, reason=reason)
    return Standing("ok")


def state(remembered: Standing) -> DestinationState:
    """The state to go on from."""
    match remembered.kind:
        case "limited":
            return Limited(remembered.until, remembered.reason)
        case "held":
            return Held(remembered.since, remembered.reason)
        case "failing":
            return Failing(remembered.since, remembered.reason)
    return Ok()
