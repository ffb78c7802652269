"""What a verdict means for the delivery and for its destination. Pure."""

from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec.structs import replace

from tutumstream.backoff import Backoff, Jitter
from tutumstream.delivery.pairs import is_resolve
from tutumstream.journal.interface import DeadLetter, Pending, Postponement
from tutumstream.notifiers.interface import Delivered, Hold, Rejected, TryAgain, Verdict

RETRY: Final = Backoff(base=1.0, cap=300.0)

GIVE_UP_AFTER: Final = 24 * 3600.0
"""Age in seconds at which a delivery that still fails is given up."""

PROBE_EVERY: Final = 300.0
"""Seconds between two tries while a destination is held."""


class Settled(msgspec.Struct, frozen=True, gc=False):
    """It arrived."""

    row: Pending


@dataclass(frozen=True, slots=True)
class Later:
    """It stays pending, and the destination gets nothing before `until` (seconds since 1970).

    Attributes:
        row: the delivery.
        postponement: what the row remembers; None where the row itself is not at fault.
    """

    row: Pending
    until: float
    postponement: Postponement | None

    @property
    def stays(self) -> Pending:
        """The delivery as it is now."""
        if self.postponement is None:
            return self.row
        now = self.postponement
        return replace(self.row, attempts=now.attempts, due=now.due, reason=now.reason, answer=now.answer)


Decision = Settled | Later | DeadLetter


def not_before(verdict: TryAgain | Hold, streak: int, failures: int, now: float, jitter: Jitter) -> float:
    """When to try again, seconds since 1970: never sooner than asked for, nor than our own back-off allows.

    A server that asks us to slow down and names no time worth waiting (0, a date that is past) would else be hammered.

    Args:
        verdict: what the notifier said of this try.
        streak: how often in a row the destination took nothing, this time included; 0 where that tells nothing.
        failures: how often the delivery was tried in vain, this time included.
        now: seconds since 1970.
        jitter: 0.0 up to 1.0.
    """
    if isinstance(verdict, Hold):
        return now + PROBE_EVERY
    in_a_row = max(streak, 1) if verdict.limited else max(failures, streak)
    return now + max(RETRY.after(in_a_row, jitter), verdict.after or 0.0)


def decide(pending: Pending, verdict: Verdict, until: float, now: float) -> Decision:
    """The next step of one delivery.

    Args:
        pending: the row as it is.
        verdict: what its notifier said of this try.
        until: when it may be tried again, where it must be.
        now: seconds since 1970.
    """
    if isinstance(verdict, Delivered):
        return Settled(pending)
    if isinstance(verdict, Rejected):
        return DeadLetter(_tried_again(pending), "rejected", verdict.reason, verdict.answer, now)
    if is_too_old(pending, now):
        return expired(_tried_again(pending), verdict.reason, verdict.answer, now)
    if isinstance(verdict, Hold):
        # Not written to the row: who mends the address and restarts must not wait for the next probe.
        return Later(pending, until, None)
    attempts = pending.attempts + (0 if verdict.limited else 1)
    return Later(pending, until, Postponement(pending.seq, attempts, until, verdict.reason, verdict.answer))


def _tried_again(pending: Pending) -> Pending:
    return replace(pending, attempts=pending.attempts + 1)


def is_too_old(pending: Pending, now: float) -> bool:
    """Whether it is given up unless it arrives at once. A resolve never is: what was opened in our name must end."""
    return now - pending.born_at >= GIVE_UP_AFTER and not is_resolve(pending)


def expired(pending: Pending, reason: str, answer: str, now: float) -> DeadLetter:
    """It is too old, and this is why it did not arrive."""
    return DeadLetter(pending, "expired", f"not delivered in {GIVE_UP_AFTER / 3600:.0f} h: {reason}", answer, now)
