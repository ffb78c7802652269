"""What a verdict means for the delivery and for its destination. Pure."""

from dataclasses import dataclass, replace
from typing import Final

from tutumstream.backoff import Backoff, Jitter
from tutumstream.journal.interface import DeadLetter, Pending, Postponement
from tutumstream.notifiers.interface import Delivered, Hold, Rejected, TryAgain, Verdict

RETRY: Final = Backoff(base=1.0, cap=300.0)

GIVE_UP_AFTER: Final = 24 * 3600.0
"""Age in seconds at which a delivery that still fails is given up."""

PROBE_EVERY: Final = 300.0
"""Seconds between two tries while a destination is held."""


@dataclass(frozen=True, slots=True)
class Settled:
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


def decide(pending: Pending, verdict: Verdict, streak: int, now: float, jitter: Jitter) -> Decision:
    """The next step of one delivery.

    Args:
        pending: the row as it is.
        verdict: what its notifier said of this try.
        streak: how often in a row the destination took nothing, this time included.
        now: seconds since 1970.
        jitter: 0.0 up to 1.0.
    """
    if isinstance(verdict, Delivered):
        return Settled(pending)
    if isinstance(verdict, Rejected):
        return DeadLetter(pending, "rejected", verdict.reason, verdict.answer, now)
    if now - pending.born_at >= GIVE_UP_AFTER:
        hours = GIVE_UP_AFTER / 3600
        return DeadLetter(pending, "expired", f"not delivered in {hours:.0f} h: {verdict.reason}", verdict.answer, now)
    if isinstance(verdict, Hold):
        # Not written to the row: who mends the address and restarts must not wait for the next probe.
        return Later(pending, now + PROBE_EVERY, None)
    return _again(pending, verdict, streak, now, jitter)


def _again(pending: Pending, verdict: TryAgain, streak: int, now: float, jitter: Jitter) -> Later:
    attempts = pending.attempts + (0 if verdict.limited else 1)
    if verdict.after is None:
        until = now + RETRY.after(max(streak, 1) if verdict.limited else max(attempts, streak), jitter)
    else:
        until = now + verdict.after
    return Later(pending, until, Postponement(pending.seq, attempts, until, verdict.reason, verdict.answer))
