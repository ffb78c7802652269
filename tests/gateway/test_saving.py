import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.errors import StateError
from tutumstream.gateway.saving import LONGEST_PAUSE, LOOK, PAUSE, RETRY, TICK, Change, Row, Saving


class Part:
    """Numbers by name."""

    def __init__(self, name: str, **values: int) -> None:
        self.name = name
        self.values: dict[str, int] | None = values
        self.recalled: dict[str, int] | None = None

    def rows(self) -> Mapping[Row, int] | None:
        return None if self.values is None else {("n", key): value for key, value in self.values.items()}

    def written(self, value: Any) -> bytes:
        return msgspec.json.encode(value)

    def understand(self, rows: Mapping[Row, bytes]) -> Callable[[], object]:
        found = {key: msgspec.json.decode(value, type=int) for (_, key), value in rows.items()}

        def recall() -> None:
            self.recalled = self.values = found

        return recall


class Disk:
    """A store in memory."""

    def __init__(self) -> None:
        self.content: dict[str, dict[Row, bytes]] = {}
        self.writes: list[list[Change]] = []
        self.problem: Exception | None = None
        self.set_aside_for = ""
        self.closed = False
        self.taken_away = False

    def open(self) -> Mapping[str, Mapping[Row, bytes]]:
        if isinstance(self.problem, StateError):
            raise self.problem
        return {part: dict(rows) for part, rows in self.content.items()}

    def set_aside(self, why: str) -> Mapping[str, Mapping[Row, bytes]]:
        self.set_aside_for = why
        self.content.clear()
        return {}

    def renew(self) -> bool:
        if not (self.taken_away or self.closed):
            return False
        if isinstance(self.problem, StateError):
            raise self.problem
        self.content.clear()
        self.taken_away = self.closed = False
        return True

    def write(self, changes: Iterable[Change]) -> None:
        if self.problem is not None:
            raise self.problem
        self.writes.append(list(changes))
        for part, kind, key, value in self.writes[-1]:
            rows = self.content.setdefault(part, {})
            if value is None:
                rows.pop((kind, key), None)
            else:
                rows[kind, key] = value

    def close(self) -> None:
        self.closed = True

    def values(self, part: str) -> dict[str, int]:
        return {key: msgspec.json.decode(value) for (_, key), value in self.content.get(part, {}).items()}


class TestSaving(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.disk = Disk()
        self.part = Part("one", a=1)
        self.slow: list[Deferred[None]] | None = None
        self.saving = self.make()
        self.addCleanup(lambda: self.saving.stop())

    def make(self) -> Saving:
        return Saving(self.disk, [self.part], self.clock, self.elsewhere)

    def elsewhere(self, work: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        if self.slow is None:
            return maybeDeferred(work, *arguments)
        gate: Deferred[None] = Deferred()
        self.slow.append(gate)
        return gate.addCallback(lambda _: work(*arguments))

    def set(self, **values: int) -> None:
        self.part.values = values

    def test_what_is_told_after_a_while_is_written_at_once(self) -> None:
        self.saving.start()
        self.saving.soon()
        self.clock.advance(0)
        self.assertEqual(self.disk.values("one"), {"a": 1})

    def test_only_what_has_changed_is_written_and_all_of_a_burst_together(self) -> None:
        self.saving.start()
        self.saving.soon()
        self.clock.advance(0)
        for number in range(1000):
            self.set(a=1, b=number)
            self.saving.soon()
        self.clock.advance(PAUSE)
        self.assertEqual(self.disk.writes[1:], [[Change("one", "n", "b", b"999")]])
        self.set(b=999)
        self.saving.soon()
        self.clock.advance(PAUSE)
        self.assertEqual(self.disk.writes[2:], [[Change("one", "n", "a", None)]])

    def test_what_was_told_to_nobody_is_noticed_a_little_later(self) -> None:
        self.saving.start()
        self.clock.advance(TICK)
        self.clock.advance(0)
        self.assertEqual(self.disk.values("one"), {"a": 1})
        self.clock.pump([TICK] * 60)
        self.assertEqual(len(self.disk.writes), 1)

    def test_while_one_write_is_under_way_none_begins_and_the_next_has_it_all(self) -> None:
        self.slow = []
        self.saving.start()
        self.saving.soon()
        self.clock.advance(0)
        self.set(a=2)
        self.saving.soon()
        self.clock.advance(PAUSE)
        self.assertEqual(len(self.slow), 1)
        self.slow[0].callback(None)
        self.saving.soon()
        self.clock.advance(PAUSE * 10)
        self.assertEqual(len(self.slow), 2)
        self.slow[1].callback(None)
        self.assertEqual(self.disk.values("one"), {"a": 2})

    def test_a_slow_disk_has_its_rest(self) -> None:
        self.slow = []
        self.saving.start()
        for took, rest in ((0.05, 0.45), (10.0, LONGEST_PAUSE)):
            self.part.values = {"a": int(took * 100)}
            self.saving.soon()
            self.clock.advance(0)
            self.clock.advance(took)
            self.slow.pop().callback(None)
            self.part.values = {"a": 0}
            self.saving.soon()
            self.clock.advance(rest - 0.01)
            self.assertEqual(self.slow, [])
            self.clock.advance(0.02)
            self.slow.pop().callback(None)
            self.clock.advance(LONGEST_PAUSE)

    def test_a_restart_goes_on_from_there(self) -> None:
        self.saving.start()
        self.successResultOf(self.saving.stop())
        self.assertTrue(self.disk.closed)
        self.part = Part("one")
        self.saving = self.make()
        self.saving.start()
        self.assertEqual(self.part.recalled, {"a": 1})

    def test_the_last_of_it_is_written_at_the_stop_and_nothing_that_comes_later(self) -> None:
        self.slow = []
        self.saving.start()
        self.saving.soon()
        self.clock.advance(0)
        self.set(a=2)
        stopped = self.saving.stop()
        self.set(a=3)
        self.saving.soon()
        self.clock.advance(10)
        # The write that was under way, a look whether it is still there, and the last write.
        for under_way in range(3):
            self.assertNoResult(stopped)
            self.slow[under_way].callback(None)
        self.successResultOf(stopped)
        self.assertEqual((self.disk.values("one"), self.disk.closed, len(self.slow)), ({"a": 2}, True, 3))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopping_what_never_started_is_harmless(self) -> None:
        self.successResultOf(self.saving.stop())
        self.assertFalse(self.disk.closed)

    def test_nothing_can_be_kept_there(self) -> None:
        self.disk.problem = StateError("/there", "is in use")
        with self.assertRaises(StateError):
            self.saving.start()

    def test_what_can_not_be_understood_is_set_aside_and_no_part_is_half_recalled(self) -> None:
        other = Part("two")
        self.saving.add(other)
        self.disk.content = {"one": {("n", "a"): b"5"}, "two": {("n", "b"): b"[]"}}
        self.saving.start()
        self.assertIn("int", self.disk.set_aside_for)
        self.assertEqual((self.part.recalled, other.recalled), (None, None))

    def test_a_part_that_has_nothing_to_say_yet_keeps_what_was_kept(self) -> None:
        self.disk.content = {"one": {("n", "a"): b"5"}}
        self.saving.start()
        self.part.values = None
        self.clock.advance(TICK)
        self.clock.advance(TICK)
        self.successResultOf(self.saving.stop())
        self.assertEqual(self.disk.values("one"), {"a": 5})

    def test_what_is_part_of_the_gateway_no_more_is_forgotten(self) -> None:
        self.disk.content = {"other": {("n", "x"): b"5"}}
        self.saving.start()
        self.saving.soon()
        self.clock.advance(0)
        self.assertEqual((self.disk.values("other"), self.disk.values("one")), ({}, {"a": 1}))
        self.clock.pump([TICK] * 5)
        self.assertEqual(len(self.disk.writes), 1)

    def test_a_disk_that_is_full_is_told_once_and_tried_again(self) -> None:
        self.saving.start()
        self.disk.problem = sqlite3.OperationalError("database or disk is full")
        with capturedLogs() as logs:
            self.clock.pump([TICK] * 30)
        self.assertEqual([str(log["problem"]) for log in logs], ["database or disk is full"])
        self.disk.problem = None
        with capturedLogs() as logs:
            self.clock.pump([TICK] * int(RETRY + TICK))
        self.assertEqual([log["log_format"] for log in logs], ["The state is kept again"])
        self.assertEqual(self.disk.values("one"), {"a": 1})

    def test_a_change_that_was_not_written_and_is_taken_back_is_no_trouble_any_more(self) -> None:
        self.saving.start()
        self.clock.pump([TICK] * 2)
        self.disk.problem = sqlite3.OperationalError("database or disk is full")
        self.set(a=2)
        self.clock.pump([TICK] * 2)
        self.assertTrue(self.saving.failing)
        self.set(a=1)
        self.clock.pump([TICK] * int(2 * LOOK))
        self.assertFalse(self.saving.failing)

    def test_what_could_not_be_renewed_once_is_no_trouble_once_it_could(self) -> None:
        self.saving.start()
        self.clock.pump([TICK] * 2)
        self.disk.taken_away, self.disk.problem = True, StateError("/state", "can't be written")
        self.clock.pump([TICK] * int(2 * LOOK))
        self.assertTrue(self.saving.failing)
        self.disk.problem = None
        self.clock.pump([TICK] * int(2 * LOOK))
        self.assertFalse(self.saving.failing)

    def test_what_is_taken_away_is_written_anew_though_nothing_happens(self) -> None:
        away = Part("away")
        self.saving.add(away)
        self.disk.content = {"away": {("n", "b"): b"5"}}
        self.saving.start()
        # Its engine was not reached since.
        away.values = None
        self.clock.pump([TICK] * 3)
        self.disk.taken_away = True
        self.disk.content.clear()
        self.clock.pump([TICK] * int(LOOK + TICK))
        self.assertEqual((self.disk.values("one"), self.disk.values("away")), ({"a": 1}, {"b": 5}))
        writes = len(self.disk.writes)
        self.clock.pump([TICK] * 10)
        self.assertEqual(len(self.disk.writes), writes)

    def test_a_look_and_a_write_wait_for_each_other(self) -> None:
        self.saving.start()
        self.clock.advance(LOOK - PAUSE / 2)
        self.set(a=2)
        self.saving.soon()
        self.clock.advance(0)
        self.set(a=3)
        self.saving.soon()
        self.slow = []
        self.clock.advance(PAUSE)
        self.clock.advance(PAUSE)
        # The look comes with the write that waited already; the write itself begins when it is through.
        (look,) = self.slow
        look.callback(None)
        _, write = self.slow
        write.callback(None)
        self.assertEqual(self.disk.values("one"), {"a": 3})
        self.slow = None

    def test_what_is_taken_away_at_the_last_moment_is_written_anew_at_the_stop(self) -> None:
        self.saving.start()
        self.clock.pump([TICK] * 3)
        self.disk.taken_away = True
        self.disk.content.clear()
        self.successResultOf(self.saving.stop())
        self.assertEqual(self.disk.values("one"), {"a": 1})

    def test_what_can_not_be_written_anew_is_told_once_and_tried_until_it_is(self) -> None:
        for problem in (StateError("there", "is in use by another gateway"), OSError(28, "No space left on device")):
            self.disk = Disk()
            self.saving = self.make()
            self.saving.start()
            self.clock.pump([TICK] * 3)
            self.disk.taken_away, self.disk.problem = True, problem
            self.disk.content.clear()
            with capturedLogs() as logs:
                self.clock.pump([TICK] * 30)
            self.assertEqual([log["problem"] for log in logs], [problem])
            self.disk.problem = None
            with capturedLogs() as logs:
                self.clock.pump([TICK] * int(LOOK + RETRY + TICK))
            self.assertEqual([log["log_format"] for log in logs], ["The state is kept again"])
            self.assertEqual(self.disk.values("one"), {"a": 1})
            self.successResultOf(self.saving.stop())

    def test_a_disk_that_is_full_at_the_end_does_not_hold_up_the_stop(self) -> None:
        self.saving.start()
        self.disk.problem = OSError(28, "No space left on device")
        self.successResultOf(self.saving.stop())
        self.assertTrue(self.disk.closed)
