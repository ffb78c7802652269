"""What is known of a destination, and what follows for all of it from each try. Pure: the time is always given."""

from collections.abc import Sequence
from typing import Final

from tutumstream.backoff import Jitter
from tutumstream.delivery.decision import Decision, Later, Settled, decide, not_before
from tutumstream.delivery.state import LONG, DestinationState, Failing, Held, Limited, Ok, Refusing
from tutumstream.journal.interface import Pending
from tutumstream.notifiers.interface import Delivered, Hold, Rejected, TryAgain, Verdict

SUSPECT_AFTER: Final = 5
"""Tries of one delivery, one after the other, before another one is tried in between."""

REFUSES_AFTER: Final = 5
"""Messages that were refused for what they are, one after the other, before the destination is the suspect."""


class Destination:
    """Decides over one destination's deliveries.

    Args:
        state: how it stood when the service ended last.
        jitter: 0.0 up to 1.0.

    Attributes:
        blocked_until: nothing is sent before, seconds since 1970.
    """

    def __init__(self, state: DestinationState, jitter: Jitter) -> None:
        self.state = state
        self.blocked_until = state.until if isinstance(state, Limited) else 0.0
        self._jitter = jitter
        self._streak = 0
        self._refused = 0
        self._arrived = 0
        # What had arrived when a delivery failed last, by its seq.
        self._failed_at: dict[int, int] = {}

    def width(self, most: int) -> int:
        """How many tries may be under way: one while it is in trouble, to find out when it is over."""
        return most if isinstance(self.state, Ok | Refusing) else 1

    def judge(self, rows: Sequence[Pending], verdicts: Sequence[Verdict], now: float) -> list[Decision]:
        """The next step of each delivery of one try; changes the destination's state."""
        if self.all_well(rows, verdicts):
            return [Settled(row) for row in rows]
        if any(isinstance(verdict, Delivered) for verdict in verdicts):
            self._arrived += 1
            # Messages of one try have no order among them: one that is taken speaks for all of them.
            self._refused = 0
        else:
            self._refused += sum(isinstance(verdict, Rejected) for verdict in verdicts)
        suspect = self._is_suspect(rows[0])
        if all(isinstance(verdict, Delivered | Rejected) for verdict in verdicts):
            self._streak = 0
        elif not suspect and now >= self.blocked_until:
            # What was under way when the trouble began, and fails too, is part of the same trouble.
            self._streak += 1
        untils = self._next_tries(rows, verdicts, suspect, now)
        decisions = [
            decide(row, verdict, until, now) for row, verdict, until in zip(rows, verdicts, untils, strict=True)
        ]
        self._block(rows, verdicts, untils, suspect, now)
        for row, decision in zip(rows, decisions, strict=True):
            if isinstance(decision, Later):
                self._failed_at[row.seq] = self._arrived
            else:
                self._failed_at.pop(row.seq, None)
        self.state = self._next_state(rows, verdicts, suspect, now)
        return decisions

    def all_well(self, rows: Sequence[Pending], verdicts: Sequence[Verdict]) -> bool:
        """Whether nothing is wrong with this try, and nothing was before: the short way of `judge`, for storms."""
        if type(self.state) is not Ok or len(rows) != len(verdicts):
            return False
        for verdict in verdicts:
            if type(verdict) is not Delivered:
                return False
        self._arrived += 1
        self._refused = 0
        if self._failed_at:
            for row in rows:
                self._failed_at.pop(row.seq, None)
        return True

    def _is_suspect(self, row: Pending) -> bool:
        """Others arrived since it failed last: the trouble is its own."""
        return self._failed_at.get(row.seq, self._arrived) < self._arrived

    def _next_tries(
        self, rows: Sequence[Pending], verdicts: Sequence[Verdict], suspect: bool, now: float
    ) -> list[float]:
        """When each may be tried again; what failed together comes back together, or a digest would come in pieces."""
        spread = self._jitter()
        failures = 1 + max(row.attempts for row in rows)
        streak = 0 if suspect else self._streak
        return [
            not_before(each, streak, failures, now, lambda: spread) if isinstance(each, TryAgain | Hold) else now
            for each in verdicts
        ]

    def _is_told_to_wait(self, now: float) -> bool:
        """Others that were under way may still arrive; that does not lift what was said meanwhile."""
        return isinstance(self.state, Limited | Held) and now < self.blocked_until

    def _block(
        self, rows: Sequence[Pending], verdicts: Sequence[Verdict], untils: Sequence[float], suspect: bool, now: float
    ) -> None:
        failed = [n for n, verdict in enumerate(verdicts) if isinstance(verdict, TryAgain | Hold)]
        if not failed:
            if not self._is_told_to_wait(now):
                self.blocked_until = 0.0
            return
        asked = any(
            isinstance(verdict, Hold) or (isinstance(verdict, TryAgain) and verdict.limited) for verdict in verdicts
        )
        # Now and then another delivery gets a chance, in case that this one is the trouble.
        experiment = (rows[failed[0]].attempts + 1) % SUSPECT_AFTER == 0
        if asked or not (suspect or experiment):
            self.blocked_until = max(self.blocked_until, *(untils[n] for n in failed))

    def _next_state(
        self, rows: Sequence[Pending], verdicts: Sequence[Verdict], suspect: bool, now: float
    ) -> DestinationState:
        """The worst of the verdicts counts."""
        before = self.state
        for verdict in verdicts:
            if isinstance(verdict, Hold):
                return Held(before.since if isinstance(before, Held) else now, verdict.reason)
        for verdict in verdicts:
            if isinstance(verdict, TryAgain) and verdict.limited:
                return self._limited(verdict.reason, now, any(isinstance(each, Delivered) for each in verdicts))
        for verdict in verdicts:
            if isinstance(verdict, TryAgain):
                # Once held, only something that arrives makes it good again.
                if suspect or isinstance(before, Held):
                    return before
                since = before.since if isinstance(before, Failing) else now
                return Failing(since, verdict.reason, before.told or now - since >= LONG)
        if self._is_told_to_wait(now):
            return before
        # Who was told of a trouble hears of its end when something arrives, and not when it is refused.
        refuses = self._refused >= REFUSES_AFTER or (self._refused > 0 and before.told)
        for row, verdict in zip(rows, verdicts, strict=True):
            # Who is on call must hear of the first page that is lost so.
            if isinstance(verdict, Rejected) and (row.delivery.urgent or refuses):
                return before if isinstance(before, Refusing) else Refusing(now, verdict.reason)
        return Ok()

    def _limited(self, reason: str, now: float, takes_some: bool) -> Limited:
        before = self.state
        since = before.since if isinstance(before, Limited) and not takes_some else now
        return Limited(self.blocked_until, reason, since, before.told or self.blocked_until - since >= LONG)
