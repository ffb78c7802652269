"""The state of a destination: frozen values, replaced whole. Times are seconds since 1970.

Each knows whether others were `told` of the trouble: who was told of it hears of its end, whatever it became meanwhile.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Final

from tutumstream.delivery.decision import GIVE_UP_AFTER
from tutumstream.journal.interface import Standing

LONG: Final = 600.0
"""Seconds for which a destination may fail, or ask for nothing, before others are told."""


@dataclass(frozen=True, slots=True)
class Ok:
    """It takes what it is sent, or was not asked yet."""

    told: ClassVar[bool] = False

    def __str__(self) -> str:
        return "ok"


@dataclass(frozen=True, slots=True)
class Limited:
    """It asked us to slow down. `since` then it took nothing."""

    until: float
    reason: str
    since: float
    told: bool = False

    def __str__(self) -> str:
        return f"limited until {_moment(self.until)}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Held:
    """It refuses us altogether: credentials or address."""

    since: float
    reason: str
    told: ClassVar[bool] = True

    def __str__(self) -> str:
        return f"held: {self.reason}"


@dataclass(frozen=True, slots=True)
class Failing:
    """It is in trouble, or can't be reached."""

    since: float
    reason: str
    told: bool = False

    def __str__(self) -> str:
        return f"failing: {self.reason}"


@dataclass(frozen=True, slots=True)
class Refusing:
    """It answers, and refuses for good what it is sent: a page, or one message after the other."""

    since: float
    reason: str
    told: ClassVar[bool] = True

    def __str__(self) -> str:
        return f"refusing what it is sent: {self.reason}"


DestinationState = Ok | Limited | Held | Failing | Refusing


def standing(state: DestinationState) -> Standing:
    """What of a state is worth remembering over a restart."""
    match state:
        case Limited(until, reason, since, told):
            return Standing("limited", since, until, reason, told)
        case Held(since, reason):
            return Standing("held", since=since, reason=reason, told=True)
        case Failing(since, reason, told):
            return Standing("failing", since=since, reason=reason, told=told)
        case Refusing(since, reason):
            return Standing("refusing", since=since, reason=reason, told=True)
    return Standing("ok")


def state(remembered: Standing, now: float) -> DestinationState:
    """The state to go on from, after a start.

    Who asked for more than a day of silence is asked again: nothing that waits would live to be told, and the start may
    be because the address was changed. What began in the future began now: the clock was set back.
    """
    ahead = max(remembered.since - now, 0.0)
    since, until = remembered.since - ahead, remembered.until - ahead
    match remembered.kind:
        case "limited":
            # Older journals do not say since when.
            return Limited(
                now if until - now > GIVE_UP_AFTER else until, remembered.reason, since or until, remembered.told
            )
        case "held":
            return Held(since, remembered.reason)
        case "failing":
            return Failing(since, remembered.reason, remembered.told)
        case "refusing":
            return Refusing(since, remembered.reason)
    return Ok()


def _moment(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "the end of time"
