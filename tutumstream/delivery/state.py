"""The state of a destination: frozen values, replaced whole. Times are seconds since 1970."""

from dataclasses import dataclass


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
