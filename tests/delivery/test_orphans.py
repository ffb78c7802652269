from collections.abc import Sequence

from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs, formatEvent

from tests.delivery.test_lane import LaneCase
from tutumstream.delivery.decision import GIVE_UP_AFTER
from tutumstream.delivery.orphans import STEP
from tutumstream.delivery.service import AGING
from tutumstream.errors import JournalError
from tutumstream.journal.interface import DeadLetter


class WhatWaitsForADestinationThatIsOff(LaneCase):
    def waiting(self, destination: str = "webhook") -> int:
        return self.successResultOf(self.journal.destinations()).get(destination, 0)

    def letters(self) -> list[tuple[str, str, str]]:
        found = self.successResultOf(self.journal.dead_letters(10_000))
        return [(each.pending.delivery.destination, each.cause, each.reason) for each in found]

    def started(self) -> list[str]:
        with capturedLogs() as logs:
            self.start()
        return [f"{log['log_level'].name}: {formatEvent(log)}" for log in logs]

    def test_is_told_at_the_start_with_the_way_out(self) -> None:
        self.record("a", "b", destination="webhook")
        self.record("c")
        self.assertEqual(
            self.started(),
            [
                "info: slack: 1 still to be delivered",
                "warn: webhook is off, and 2 deliveries wait for it: set it up again, or they go to the dead letters, "
                "each when it is a day old",
            ],
        )

    def test_stays_for_as_long_as_it_would_be_tried(self) -> None:
        self.record("a", destination="webhook")
        self.start()
        self.clock.pump([AGING] * int(GIVE_UP_AFTER / AGING - 1))
        self.assertEqual((self.waiting(), self.letters()), (1, []))

    def test_is_given_up_when_it_is_a_day_old_however_much_it_is(self) -> None:
        self.record(*(f"n{number}" for number in range(2 * STEP + 1)), destination="webhook")
        self.clock.advance(60.0)
        self.record("later", destination="webhook")
        self.start()
        with capturedLogs() as logs:
            self.clock.advance(GIVE_UP_AFTER - 60.0)
            self.clock.advance(0)
        self.assertEqual(self.waiting(), 1)
        self.assertEqual(
            self.letters(), [("webhook", "expired", "not delivered in 24 h: the destination is off")] * (2 * STEP + 1)
        )
        self.assertEqual(
            [formatEvent(log) for log in logs],
            [f"webhook is off: gave up {2 * STEP + 1} deliveries to it, they are dead letters now"],
        )

    def test_is_given_up_while_something_for_another_one_comes(self) -> None:
        self.record("a", destination="webhook")
        self.record("b", destination="pagerduty")
        self.start()
        bury = self.journal.bury

        def meanwhile(letters: Sequence[DeadLetter]) -> Deferred[None]:
            self.record("c", destination="elasticsearch")
            return bury(letters)

        self.journal.bury = meanwhile  # type: ignore[method-assign]
        self.clock.advance(GIVE_UP_AFTER)
        self.assertEqual([cause for _, cause, _ in self.letters()], ["expired"] * 2)

    def test_but_a_resolve_waits_for_ever(self) -> None:
        self.record("a", destination="pagerduty", key="k", action="resolve")
        self.start()
        self.clock.advance(GIVE_UP_AFTER + AGING)
        self.assertEqual((self.waiting("pagerduty"), self.letters()), (1, []))

    def test_and_stands_behind_all_the_resolves_is_given_up_too(self) -> None:
        self.record(*(f"n{number}" for number in range(STEP)), destination="webhook", key="k", action="resolve")
        self.record("last", destination="webhook")
        self.start()
        self.clock.advance(GIVE_UP_AFTER + AGING)
        self.assertEqual((self.waiting(), len(self.letters())), (STEP, 1))

    def test_is_given_up_again_when_it_was_taken_back(self) -> None:
        self.start()
        self.record("a", destination="webhook")
        self.clock.advance(GIVE_UP_AFTER + AGING)
        (letter,) = self.successResultOf(self.journal.dead_letters(1))
        rows = self.successResultOf(self.journal.revive([letter.pending.seq], self.clock.seconds()))
        self.lanes.offer(rows)
        self.clock.advance(GIVE_UP_AFTER / 2)
        self.assertEqual(self.waiting(), 1)
        self.clock.advance(GIVE_UP_AFTER)
        self.assertEqual((self.waiting(), len(self.letters())), (0, 1))

    def test_and_can_not_be_written_down_is_told(self) -> None:
        self.record("a", destination="webhook")
        self.start()
        self.journal.bury = lambda _: fail(JournalError("j", "the disk is full"))  # type: ignore[method-assign]
        with capturedLogs() as logs:
            self.clock.advance(GIVE_UP_AFTER + AGING)
        self.assertIn("the disk is full", formatEvent(logs[-1]))

    def test_and_can_not_be_given_up_is_told(self) -> None:
        self.record("a", destination="webhook")
        self.start()
        self.journal.close()
        with capturedLogs() as logs:
            self.clock.advance(AGING)
        self.assertIn("can't be given up", formatEvent(logs[-1]))
