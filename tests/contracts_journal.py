"""What every journal must do: mix `JournalContract` into a `SynchronousTestCase` and give it a `journal`."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from tutumstream.docker_details import DockerDetails
from tutumstream.errors import JournalError
from tutumstream.event import Event, Malformed
from tutumstream.journal.interface import (
    MALFORMED_BYTES,
    MALFORMED_ROWS,
    OPENS_SECONDS,
    DeadLetter,
    IJournal,
    Limits,
    Opened,
    OpenIncident,
    Pending,
    Postponement,
    Pruned,
    Standing,
    Told,
)
from tutumstream.journal.objects import ObjectState, Watch
from tutumstream.routing.delivery import Delivery, Incident

T = TypeVar("T")

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as _Case
else:
    _Case = object


def an_event(name: str = "01", **changes: object) -> Event:
    """A container's event with this id."""
    fields: dict[str, object] = {
        "id": name,
        "received_at": 1_700_000_000.123456,
        "type": "container",
        "action": "create",
        "state": "Running",
        "resource_uri": f"/api/v1/container/{name}/",
        "parents": ("/api/v1/service/web/", "/api/v1/stack/shop/"),
    }
    return Event(**{**fields, **changes})  # type: ignore[arg-type]  # a mapping has one type for all its values


def to(destination: str, incident: Incident | None = None) -> Delivery:
    """A delivery to this destination."""
    return Delivery(destination, "containers", 'event.type == "container"', "/api/v1/container/01/", incident)


def a_state(name: str = "01", state: str = "Running", at: float = 1_700_000_000.123456) -> ObjectState:
    """What `an_event` leaves behind."""
    event = an_event(name)
    return ObjectState(event.resource_uri, event.type, state, event.parents, at)


def letter(row: Pending, reason: str = "it said no", died_at: float = 50.0) -> DeadLetter:
    """This row, given up."""
    return DeadLetter(row, "rejected", reason, "invalid_payload", died_at)


class JournalContract(_Case):
    """The promises of `IJournal`."""

    journal: IJournal

    def done(self, asked: Deferred[T]) -> T:
        """The answer, which must be there already."""
        answer: T = self.successResultOf(asked)
        return answer

    def window(self, destination: str = "slack", after: int = 0, limit: int = 100) -> list[Pending]:
        """What is pending there."""
        return self.done(self.journal.pending(destination, after, limit))

    def together(self) -> AbstractContextManager[object]:
        """What is asked for within is done at once in the end, where it makes a difference."""
        return nullcontext()

    def test_it_keeps_the_interface(self) -> None:
        verifyObject(IJournal, self.journal)
        self.assertTrue(self.journal.health.ok)

    def test_a_new_one_is_empty(self) -> None:
        self.assertEqual(self.window(), [])
        self.assertEqual(self.done(self.journal.dead_letters(10)), [])
        self.assertEqual(self.done(self.journal.malformed(10)), [])
        self.assertEqual(self.done(self.journal.standings()), {})
        self.assertEqual(self.done(self.journal.open_incidents()), [])
        self.assertEqual(self.done(self.journal.history(10)), [])
        self.assertEqual(self.done(self.journal.destinations()), {})

    def test_a_delivery_comes_back_as_it_was_recorded(self) -> None:
        event = an_event(message="ünïcode \x00 ☃", uuid="u-1", datetime="2015-06-01T00:00:00Z")
        delivery = to("slack", Incident("trigger", "tutum-stream"))
        self.done(self.journal.record(event, [delivery]))
        [row] = self.window()
        self.assertEqual(row, Pending(row.seq, "01-1", event, delivery, born_at=event.received_at))

    def test_deliveries_of_an_event_are_numbered_from_one_over_all_destinations(self) -> None:
        self.done(self.journal.record(an_event("a"), [to("slack"), to("pagerduty"), to("slack")]))
        self.assertEqual([row.id for row in self.window("slack")], ["a-1", "a-3"])
        self.assertEqual([row.id for row in self.window("pagerduty")], ["a-2"])

    def test_deliveries_come_in_the_order_recorded(self) -> None:
        for name in "cab":
            self.done(self.journal.record(an_event(name), [to("slack"), to("slack")]))
        rows = self.window()
        self.assertEqual([row.id for row in rows], ["c-1", "c-2", "a-1", "a-2", "b-1", "b-2"])
        self.assertEqual([row.seq for row in rows], sorted({row.seq for row in rows}))

    def test_a_window_starts_after_a_seq_and_ends_at_its_limit(self) -> None:
        for name in "abcd":
            self.done(self.journal.record(an_event(name), [to("slack")]))
        rows = self.window()
        self.assertEqual(self.window(after=rows[0].seq, limit=2), rows[1:3])
        self.assertEqual(self.window(after=rows[3].seq), [])
        self.assertEqual(self.window(limit=0), [])
        self.assertEqual(self.window(limit=-1), [])

    def test_events_that_came_together_are_recorded_in_order_and_answered_once(self) -> None:
        first, second = an_event("a"), an_event("b", state="Stopped")
        rows = self.done(self.journal.record_all([(first, [to("slack"), to("pagerduty")]), (second, [to("slack")])]))
        self.assertEqual([row.id for row in rows], ["a-1", "a-2", "b-1"])
        self.assertEqual(self.window("slack"), [rows[0], rows[2]])
        self.assertEqual([told.event for told in self.done(self.journal.history(10))], [second, first])
        self.assertEqual([state.state for state in self.done(self.journal.states())], ["Running", "Stopped"])
        self.assertEqual(self.done(self.journal.record_all([(an_event("c"), [])])), [])

    def test_the_stream_may_repeat_an_event_id(self) -> None:
        self.done(self.journal.record(an_event("same"), [to("slack")]))
        self.done(self.journal.record(an_event("same", state="Stopped"), [to("slack")]))
        self.assertEqual([row.event.state for row in self.window()], ["Running", "Stopped"])
        self.done(self.journal.settle(self.window()[:1], 5.0))
        self.assertEqual([row.event.state for row in self.window()], ["Stopped"])

    def test_what_is_settled_is_pending_no_more(self) -> None:
        for name in "abc":
            self.done(self.journal.record(an_event(name), [to("slack"), to("pagerduty")]))
        first, second, third = self.window()
        self.done(self.journal.settle([third, first], 5.0))
        self.assertEqual(self.window(), [second])
        self.assertEqual(len(self.window("pagerduty")), 3)

    def test_a_postponed_delivery_keeps_its_place_and_tells_of_its_try(self) -> None:
        for name in "ab":
            self.done(self.journal.record(an_event(name), [to("slack")]))
        first, second = self.window()
        self.done(self.journal.postpone([Postponement(first.seq, 3, 1_700_000_099.654321, "HTTP 500", "☃ oops")]))
        tried, untouched = self.window()
        self.assertEqual(untouched, second)
        self.assertEqual((tried.id, tried.event, tried.delivery), (first.id, first.event, first.delivery))
        self.assertEqual(
            (tried.attempts, tried.due, tried.reason, tried.answer), (3, 1_700_000_099.654321, "HTTP 500", "☃ oops")
        )

    def test_a_buried_delivery_is_pending_no_more_and_its_letter_comes_back_whole(self) -> None:
        self.done(self.journal.record(an_event("a"), [to("slack", Incident("resolve", "k")), to("slack")]))
        self.done(self.journal.postpone([Postponement(self.window()[0].seq, 2, 9.0, "HTTP 500", "oops")]))
        first, second = self.window()
        self.done(self.journal.bury([letter(first)]))
        self.assertEqual(self.window(), [second])
        self.assertEqual(self.done(self.journal.dead_letters(10)), [letter(first)])

    def test_dead_letters_come_newest_delivery_first_and_can_be_read_page_by_page(self) -> None:
        for name in "abc":
            self.done(self.journal.record(an_event(name), [to("slack")]))
        first, second, third = self.window()
        self.done(self.journal.bury([letter(third), letter(first)]))
        self.done(self.journal.bury([letter(second)]))
        self.assertEqual(self.done(self.journal.dead_letters(10)), [letter(third), letter(second), letter(first)])
        self.assertEqual(self.done(self.journal.dead_letters(1)), [letter(third)])
        self.assertEqual(self.done(self.journal.dead_letters(1, third.seq)), [letter(second)])
        self.assertEqual(self.done(self.journal.dead_letters(1, second.seq)), [letter(first)])
        self.assertEqual(self.done(self.journal.dead_letters(1, first.seq)), [])
        self.assertEqual(self.done(self.journal.dead_letters(0)), [])

    def test_a_letter_given_twice_is_buried_once(self) -> None:
        self.done(self.journal.record(an_event("a"), [to("slack")]))
        [row] = self.window()
        self.done(self.journal.bury([letter(row, "first"), letter(row, "second")]))
        self.done(self.journal.bury([letter(row, "third")]))
        self.assertEqual(self.done(self.journal.dead_letters(10)), [letter(row, "first")])

    def test_changes_of_what_is_settled_or_unknown_do_nothing(self) -> None:
        self.done(self.journal.record(an_event("a"), [to("slack"), to("slack")]))
        gone, there = self.window()
        self.done(self.journal.settle([gone], 5.0))
        self.done(self.journal.settle([gone, replace(gone, seq=999)], 6.0))
        self.done(self.journal.settle([], 6.0))
        self.done(self.journal.postpone([Postponement(gone.seq, 1, 2.0, "late"), Postponement(999, 1, 2.0, "late")]))
        self.done(self.journal.bury([letter(gone)]))
        self.assertEqual(self.window(), [there])
        self.assertEqual(self.done(self.journal.dead_letters(10)), [])

    def test_many_changes_at_once(self) -> None:
        self.done(self.journal.record(an_event("a"), [to("slack")] * 1040))
        rows = self.window(limit=2000)
        self.done(self.journal.postpone([Postponement(row.seq, row.seq, 1.0, f"r{row.seq}") for row in rows]))
        self.assertEqual([row.attempts for row in self.window(limit=2000)], [row.seq for row in rows])
        self.done(self.journal.bury([letter(row) for row in rows[:520]]))
        self.done(self.journal.settle(rows[520:1039], 1.0))
        self.assertEqual([row.seq for row in self.window()], [rows[1039].seq])
        dead = self.done(self.journal.dead_letters(2000))
        self.assertEqual([each.pending.seq for each in dead], [row.seq for row in reversed(rows[:520])])

    def test_history_holds_every_event_newest_first_with_what_it_caused(self) -> None:
        self.done(self.journal.record(an_event("a"), []))
        self.done(self.journal.record(an_event("b"), [to("slack"), to("pagerduty")]))
        self.done(self.journal.settle(self.window(), 5.0))
        told = [Told(an_event("b"), 2), Told(an_event("a"), 0)]
        self.assertEqual(self.done(self.journal.history(10)), told)
        self.assertEqual(self.done(self.journal.history(1)), told[:1])
        self.assertEqual(self.done(self.journal.history(-1)), [])

    def test_backlogs_are_counted_by_destination(self) -> None:
        self.done(self.journal.record(an_event("a"), [to("slack"), to("slack"), to("gone")]))
        self.done(self.journal.record(an_event("b"), [to("slack"), to("pagerduty")]))
        self.done(self.journal.settle(self.window("pagerduty"), 5.0))
        self.done(self.journal.bury([letter(self.window()[0])]))
        self.assertEqual(self.done(self.journal.destinations()), {"slack": 2, "gone": 1})

    def test_malformed_messages_are_kept_cut_and_come_newest_first(self) -> None:
        short = Malformed(received_at=1.5, reason="not UTF-8", raw=b"\xff\x00")
        long = Malformed(received_at=2.5, reason="nested too deeply", raw=b"[" * 200_000)
        self.done(self.journal.keep(short))
        self.done(self.journal.keep(long))
        cut = Malformed(received_at=2.5, reason="nested too deeply", raw=b"[" * MALFORMED_BYTES)
        self.assertEqual(self.done(self.journal.malformed(10)), [cut, short])
        self.assertEqual(self.done(self.journal.malformed(1)), [cut])

    def test_only_the_newest_malformed_messages_stay(self) -> None:
        broken = [Malformed(received_at=float(n), reason="r", raw=b"x") for n in range(MALFORMED_ROWS + 2)]
        with self.together():
            for each in broken[:-1]:
                self.journal.keep(each)
        self.done(self.journal.keep(broken[-1]))
        kept = self.done(self.journal.malformed(MALFORMED_ROWS * 2))
        self.assertEqual([each.received_at for each in kept], [float(n) for n in range(MALFORMED_ROWS + 1, 1, -1)])

    def test_everything_is_there_after_closing_and_opening_again(self) -> None:
        self.done(self.journal.record(an_event("a"), [to("slack"), to("slack"), to("slack")]))
        first, second, third = self.window()
        self.done(self.journal.settle([first], 5.0))
        self.done(self.journal.bury([letter(second)]))
        self.done(self.journal.close())
        self.done(self.journal.open())
        self.assertEqual(self.window(), [third])
        self.assertEqual(self.done(self.journal.dead_letters(10)), [letter(second)])
        self.done(self.journal.record(an_event("b"), [to("slack")]))
        after = self.window()
        self.assertEqual([row.id for row in after], ["a-3", "b-1"])
        self.assertGreater(after[1].seq, third.seq)

    def test_opening_and_closing_twice_is_harmless(self) -> None:
        self.done(self.journal.open())
        self.done(self.journal.record(an_event("a"), [to("slack")]))
        self.done(self.journal.close())
        self.done(self.journal.close())
        self.done(self.journal.open())
        self.assertEqual(len(self.window()), 1)

    def test_when_it_is_not_open_everything_fails_with_words(self) -> None:
        self.done(self.journal.close())
        self.assertEqual(self.journal.health.problem, "is not open")
        broken = Malformed(received_at=1.0, reason="r", raw=b"x")
        asked: list[Deferred[object]] = [
            self.journal.record(an_event(), []),  # type: ignore[list-item]  # Deferred is invariant
            self.journal.keep(broken),  # type: ignore[list-item]
            self.journal.pending("slack", 0, 1),  # type: ignore[list-item]
            self.journal.settle([], 1.0),  # type: ignore[list-item]
            self.journal.postpone([]),  # type: ignore[list-item]
            self.journal.bury([]),  # type: ignore[list-item]
            self.journal.dead_letters(1),  # type: ignore[list-item]
            self.journal.malformed(1),  # type: ignore[list-item]
            self.journal.history(1),  # type: ignore[list-item]
            self.journal.destinations(),  # type: ignore[list-item]
            self.journal.drop([], "", 1.0),  # type: ignore[list-item]
            self.journal.revive([], 1.0),  # type: ignore[list-item]
            self.journal.forget([]),  # type: ignore[list-item]
            self.journal.stand("slack", Standing("ok")),  # type: ignore[list-item]
            self.journal.standings(),  # type: ignore[list-item]
            self.journal.recent_opens(),  # type: ignore[list-item]
            self.journal.dead_letters_named(["a-1"]),  # type: ignore[list-item]
            self.journal.open_incidents(),  # type: ignore[list-item]
            self.journal.prune(1.0, Limits()),  # type: ignore[list-item]
            self.journal.watch("here"),  # type: ignore[list-item]
            self.journal.watched(1.0),  # type: ignore[list-item]
            self.journal.states(),  # type: ignore[list-item]
            self.journal.catch_up([], [], 1.0),  # type: ignore[list-item]
        ]
        for each in asked:
            self.assertIn("is not open", str(self.failureResultOf(each, JournalError).value))

    def test_recording_gives_the_rows_that_are_pending_then(self) -> None:
        deliveries = [
            to("slack"),
            replace(to("pagerduty", Incident("trigger", "k")), urgent=True, grace=30.0),
            replace(to("slack"), urgent=True),
        ]
        self.done(self.journal.record(an_event("a"), [to("slack")]))
        rows = self.done(self.journal.record(an_event("b"), deliveries))
        self.assertEqual([rows[0], rows[2]], self.window()[1:])
        (held_back,) = self.window("pagerduty")
        self.assertEqual((held_back.id, held_back.due), ("b-2", 1_700_000_030.123456))
        self.assertEqual(replace(held_back.delivery, grace=30.0), rows[1].delivery)
        self.assertEqual([row.born_at for row in rows], [1_700_000_000.123456] * 3)

    def test_urgent_deliveries_can_be_read_alone(self) -> None:
        for name in "abcd":
            self.done(self.journal.record(an_event(name), [replace(to("slack"), urgent=name in "bd")]))
        urgent = self.done(self.journal.pending("slack", 0, 10, urgent=True))
        self.assertEqual([row.event.id for row in urgent], ["b", "d"])
        self.assertEqual(self.done(self.journal.pending("slack", urgent[0].seq, 10, urgent=True)), urgent[1:])
        self.assertEqual(self.done(self.journal.pending("slack", 0, 1, urgent=True)), urgent[:1])

    def test_an_incident_is_open_from_the_trigger_that_arrived_to_the_resolve_that_arrived(self) -> None:
        for name, action in (("a", "trigger"), ("b", "trigger"), ("c", "resolve")):
            self.done(self.journal.record(an_event(name), [to("pagerduty", Incident(action, "k"))]))  # type: ignore[arg-type]
        first, second, third = self.window("pagerduty")
        self.assertEqual(self.done(self.journal.open_incidents()), [])
        self.done(self.journal.settle([first], 5.0))
        self.done(self.journal.settle([second], 6.0))
        self.assertEqual(self.done(self.journal.open_incidents()), [OpenIncident("pagerduty", "k", "container", 5.0)])
        self.done(self.journal.settle([third], 7.0))
        self.assertEqual(self.done(self.journal.open_incidents()), [])
        self.done(self.journal.settle([first], 8.0))
        self.assertEqual(self.done(self.journal.open_incidents()), [], "what is settled opens nothing again")

    def test_what_is_dropped_is_pending_no_more_and_leaves_incidents_alone(self) -> None:
        self.done(self.journal.record(an_event("a"), [to("pagerduty", Incident("trigger", "k")), to("slack")]))
        self.done(self.journal.drop(self.window("pagerduty"), "it was over", 5.0))
        self.assertEqual((self.window("pagerduty"), len(self.window("slack"))), ([], 1))
        self.assertEqual(self.done(self.journal.open_incidents()), [])
        self.assertEqual(self.done(self.journal.dead_letters(10)), [])

    def test_standings_are_remembered_the_last_one_of_each_destination(self) -> None:
        held = Standing("held", since=5.0, reason="404", told=True)
        self.done(self.journal.stand("slack", Standing("limited", until=9.0, reason="429")))
        self.done(self.journal.stand("pagerduty", Standing("ok")))
        self.done(self.journal.stand("slack", held))
        self.assertEqual(self.done(self.journal.standings()), {"slack": held, "pagerduty": Standing("ok")})

    def test_a_dead_letter_taken_back_is_pending_as_if_it_were_new(self) -> None:
        rows = self.done(self.journal.record(an_event("a"), [to("slack"), to("slack"), to("slack")]))
        self.done(self.journal.postpone([Postponement(rows[0].seq, 4, 99.0, "HTTP 500", "oops")]))
        self.done(self.journal.bury([letter(row) for row in self.window()]))
        back = self.done(self.journal.revive([rows[0].seq, rows[2].seq, 999], 77.0))
        self.assertEqual(back, [replace(rows[0], born_at=77.0), replace(rows[2], born_at=77.0)])
        self.assertEqual(self.window(), back)
        (left,) = self.done(self.journal.dead_letters(10))
        self.assertEqual(left.pending.seq, rows[1].seq)
        self.done(self.journal.bury([letter(back[0])]))
        self.assertEqual(len(self.done(self.journal.dead_letters(10))), 2, "it can die again")

    def test_dead_letters_are_found_by_their_id_of_several_the_newest(self) -> None:
        for name in ("a", "again", "again"):
            self.done(self.journal.record(an_event(name), [to("slack"), to("slack")]))
        rows = self.window()
        self.done(self.journal.bury([letter(row) for row in rows]))
        found = self.done(self.journal.dead_letters_named(["again-2", "a-1", "a-3", "a", "again-2"]))
        self.assertEqual([each.pending.seq for each in found], [rows[5].seq, rows[0].seq])
        self.assertEqual(found[1], self.done(self.journal.dead_letters(9))[-1])
        self.assertEqual(self.done(self.journal.dead_letters_named([])), [])

    def test_what_died_of_too_large_a_backlog_is_found_by_its_id(self) -> None:
        rows = self.done(self.journal.record(an_event("a"), [to("slack")] * 7))
        self.done(self.journal.prune(1.0, Limits(pending_rows=6, in_hand=5)))
        (found,) = self.done(self.journal.dead_letters_named([rows[5].id]))
        self.assertEqual((found.pending.seq, found.cause), (rows[5].seq, "overflow"))

    def test_it_is_known_when_incidents_were_opened_lately(self) -> None:
        actions = ("trigger", "resolve", "trigger", "trigger", "acknowledge")
        deliveries = [to("pagerduty", Incident(action, "k")) for action in actions]  # type: ignore[arg-type]
        rows = self.done(self.journal.record(an_event("a"), [*deliveries, to("slack")]))
        for at, row in zip((5.0, 6.0, 7.0), rows, strict=False):
            self.done(self.journal.settle([row], at))
        self.done(self.journal.settle(rows[3:], 8.0))
        self.done(self.journal.settle(rows, 9.0))
        opened = [Opened("pagerduty", "k", at) for at in (5.0, 7.0, 8.0)]
        self.assertEqual(self.done(self.journal.recent_opens()), opened)
        self.done(self.journal.prune(7.0 + OPENS_SECONDS, Limits()))
        self.assertEqual(self.done(self.journal.recent_opens()), opened[1:])

    def test_a_dead_letter_can_be_forgotten(self) -> None:
        rows = self.done(self.journal.record(an_event("a"), [to("slack"), to("slack")]))
        self.done(self.journal.bury([letter(row) for row in rows]))
        self.assertEqual(self.done(self.journal.forget([rows[0].seq, 999])), 1)
        (left,) = self.done(self.journal.dead_letters(10))
        self.assertEqual(left.pending.seq, rows[1].seq)
        self.assertEqual(self.window(), [])

    def test_history_is_forgotten_by_age_but_nothing_that_is_pending(self) -> None:
        for at in range(10):
            self.done(self.journal.record(an_event(str(at), received_at=float(at)), [to("slack")]))
        waits, *done = self.window()
        self.done(self.journal.settle(done[:5], 50.0))
        self.done(self.journal.bury([letter(row, died_at=7.0) for row in done[5:]]))
        self.assertEqual(self.done(self.journal.prune(100.0, Limits(history_seconds=92.0))), Pruned(7, 0))
        self.assertEqual([told.event.id for told in self.done(self.journal.history(99))], ["9", "8", "0"])
        self.assertEqual(self.window(), [waits])
        self.assertEqual(len(self.done(self.journal.dead_letters(99))), 2)
        self.assertEqual(self.done(self.journal.prune(100.0, Limits(history_seconds=92.0))), Pruned(0, 0))

    def test_history_is_forgotten_by_number_the_oldest_first(self) -> None:
        for at in range(10):
            self.done(self.journal.record(an_event(str(at), received_at=100.0), []))
        self.assertEqual(self.done(self.journal.prune(100.0, Limits(history_rows=3))), Pruned(7, 0))
        self.assertEqual([told.event.id for told in self.done(self.journal.history(99))], ["9", "8", "7"])

    def test_history_is_counted_from_the_newest_event_back(self) -> None:
        self.done(self.journal.record(an_event("waits", received_at=100.0), [to("slack")]))
        for name in "abcd":
            self.done(self.journal.record(an_event(name, received_at=100.0), []))
        self.assertEqual(self.done(self.journal.prune(100.0, Limits(history_rows=2))), Pruned(2, 0))
        self.done(self.journal.record(an_event("e", received_at=100.0), []))
        self.assertEqual(self.done(self.journal.prune(100.0, Limits(history_rows=2))), Pruned(1, 0))
        self.done(self.journal.settle(self.window(), 101.0))
        self.assertEqual(self.done(self.journal.prune(100.0, Limits(history_rows=2))), Pruned(1, 0))
        self.assertEqual([told.event.id for told in self.done(self.journal.history(99))], ["e", "d"])

    def test_a_dead_letter_is_as_old_as_its_death_and_keeps_its_event(self) -> None:
        rows = self.done(self.journal.record(an_event(received_at=1.0), [to("slack"), to("webhook")]))
        self.done(self.journal.bury([letter(rows[0], died_at=2.0), letter(rows[1], died_at=90.0)]))
        self.assertEqual(self.done(self.journal.prune(140.0, Limits(history_seconds=50.0))), Pruned(0, 0))
        self.assertEqual(len(self.done(self.journal.dead_letters(9))), 2)
        self.assertEqual(self.done(self.journal.prune(141.0, Limits(history_seconds=50.0))), Pruned(1, 0))
        self.assertEqual(self.done(self.journal.dead_letters(9)), [])

    def test_a_dead_letter_goes_by_number_only_where_so_many_died_after_it(self) -> None:
        for name in "abc":
            self.done(self.journal.record(an_event(name, received_at=100.0), [to("slack")]))
        self.done(self.journal.bury([letter(row, died_at=100.0) for row in self.window()]))
        for name in "defg":
            self.done(self.journal.record(an_event(name, received_at=100.0), []))
        self.assertEqual(self.done(self.journal.prune(100.0, Limits(history_rows=2))), Pruned(3, 0))
        self.assertEqual([told.event.id for told in self.done(self.journal.history(9))], ["g", "f", "c", "b"])

    def test_dead_letters_are_counted_with_those_that_were_taken_back_among_them(self) -> None:
        for name in "abcd":
            self.done(self.journal.record(an_event(name, received_at=100.0), [to("slack")]))
        rows = self.window()
        self.done(self.journal.bury([letter(row, died_at=100.0) for row in rows]))
        self.done(self.journal.revive([rows[1].seq, rows[2].seq], 100.0))
        self.done(self.journal.settle(self.window(), 100.0))
        for name in "ef":
            self.done(self.journal.record(an_event(name, received_at=100.0), []))
        self.done(self.journal.prune(100.0, Limits(history_rows=2)))
        self.assertEqual([told.event.id for told in self.done(self.journal.history(9))], ["f", "e", "d"])

    def test_what_was_taken_back_keeps_its_event(self) -> None:
        rows = self.done(self.journal.record(an_event(received_at=1.0), [to("slack"), to("slack")]))
        self.done(self.journal.bury([letter(row, died_at=2.0) for row in rows]))
        self.done(self.journal.revive([rows[0].seq], 90.0))
        self.assertEqual(self.done(self.journal.prune(100.0, Limits(history_seconds=50.0))), Pruned(0, 0))
        self.assertEqual(len(self.done(self.journal.dead_letters(9))), 1)
        self.done(self.journal.settle(self.window(), 100.0))
        self.assertEqual(self.done(self.journal.prune(100.0, Limits(history_seconds=50.0))), Pruned(1, 0))
        self.assertEqual(self.done(self.journal.dead_letters(9)), [])

    def test_standings_and_open_incidents_outlive_the_history(self) -> None:
        rows = self.done(self.journal.record(an_event(received_at=1.0), [to("pagerduty", Incident("trigger", "k"))]))
        self.done(self.journal.settle(rows, 5.0))
        self.done(self.journal.stand("pagerduty", Standing("held", since=1.0, reason="404")))
        self.assertEqual(self.done(self.journal.prune(1e9, Limits())), Pruned(1, 0))
        self.assertEqual(self.done(self.journal.open_incidents()), [OpenIncident("pagerduty", "k", "container", 5.0)])
        self.assertIn("pagerduty", self.done(self.journal.standings()))

    def test_incidents_settled_together_end_as_if_settled_one_by_one(self) -> None:
        actions = (("k", "trigger"), ("k", "resolve"), ("l", "resolve"), ("l", "trigger"), ("m", "acknowledge"))
        deliveries = [to("pagerduty", Incident(action, key)) for key, action in actions]  # type: ignore[arg-type]
        rows = self.done(self.journal.record(an_event("a"), [*deliveries, to("pagerduty")]))
        other = self.done(self.journal.record(an_event("b"), [to("slack", Incident("trigger", "k"))]))
        self.done(self.journal.settle([*rows, *other, *rows], 5.0))
        self.assertEqual(
            self.done(self.journal.open_incidents()),
            [OpenIncident("pagerduty", "l", "container", 5.0), OpenIncident("slack", "k", "container", 5.0)],
        )
        self.assertEqual((self.window("pagerduty"), self.window("slack")), ([], []))

    def test_what_closes_an_incident_ends_it_and_is_read_again_as_what_it_is(self) -> None:
        deliveries = [to("pagerduty", Incident("trigger", "k")), to("pagerduty", Incident("close", "k"))]
        trigger, close = self.done(self.journal.record(an_event("a"), deliveries))
        self.done(self.journal.settle([trigger], 5.0))
        self.assertEqual([each.key for each in self.done(self.journal.open_incidents())], ["k"])
        self.assertEqual([each.delivery.incident for each in self.window("pagerduty")], [Incident("close", "k")])
        self.done(self.journal.settle([close], 6.0))
        self.assertEqual(self.done(self.journal.open_incidents()), [])

    def test_what_docker_knows_of_an_event_is_kept(self) -> None:
        details = DockerDetails(event="crash", name="web-2", exit_code=137, news=True, expected=False)
        event = an_event("a", docker=details)
        self.done(self.journal.record(event, [to("slack")]))
        self.assertEqual([row.event.docker for row in self.window("slack")], [details])

    def test_a_delivery_settled_twice_at_once_acts_on_its_incident_once(self) -> None:
        deliveries = [to("pagerduty", Incident("trigger", "k")), to("pagerduty", Incident("resolve", "k"))]
        trigger, resolve = self.done(self.journal.record(an_event("a"), deliveries))
        self.done(self.journal.settle([trigger, resolve, trigger], 5.0))
        self.assertEqual(self.done(self.journal.open_incidents()), [])

    def test_an_incident_that_opens_anew_counts_from_then(self) -> None:
        actions = ("trigger", "resolve", "trigger")
        deliveries = [to("pagerduty", Incident(action, "k")) for action in actions]  # type: ignore[arg-type]
        first, second, third = self.done(self.journal.record(an_event("a"), deliveries))
        self.done(self.journal.settle([first], 5.0))
        self.done(self.journal.settle([second, third], 6.0))
        self.assertEqual(self.done(self.journal.open_incidents()), [OpenIncident("pagerduty", "k", "container", 6.0)])

    def test_any_number_of_dead_letters_is_taken_back_or_forgotten_at_once(self) -> None:
        rows = self.done(self.journal.record(an_event("a"), [to("slack")] * 4))
        self.done(self.journal.bury([letter(row) for row in rows]))
        unknown = range(1_000, 34_000)
        self.assertEqual(len(self.done(self.journal.revive([rows[0].seq, rows[0].seq, *unknown], 7.0))), 1)
        self.assertEqual(self.done(self.journal.forget([rows[1].seq, rows[1].seq, *unknown])), 1)
        self.assertEqual(len(self.done(self.journal.dead_letters(9))), 2)

    def test_of_too_large_a_backlog_the_oldest_go_that_are_neither_urgent_nor_in_a_lane_s_hands(self) -> None:
        event = an_event(received_at=100.0)
        urgent = self.done(self.journal.record(event, [replace(to("slack"), urgent=True)] * 10))
        slack = self.done(self.journal.record(event, [to("slack")] * (50 + 30)))
        late = self.done(self.journal.record(event, [to("pagerduty")] * (50 + 5)))
        waiting = len(urgent) + len(slack) + len(late)
        limits = Limits(pending_rows=waiting - 20, in_hand=50, at_once=8)
        self.assertEqual(self.done(self.journal.prune(100.0, limits)), Pruned(0, 20))
        letters = self.done(self.journal.dead_letters(99))
        self.assertEqual([each.pending for each in reversed(letters)], slack[50 : 50 + 20])
        self.assertEqual(
            {(each.cause, each.reason, each.died_at) for each in letters},
            {("overflow", "too many deliveries wait", 100.0)},
        )
        self.assertEqual(self.done(self.journal.prune(100.0, Limits(pending_rows=0, in_hand=50))), Pruned(0, 15))
        self.assertEqual(self.done(self.journal.destinations()), {"slack": 50 + 10, "pagerduty": 50})

    def test_what_was_taken_back_counts_among_what_waits(self) -> None:
        rows = self.done(self.journal.record(an_event(received_at=100.0), [to("slack")] * 8))
        self.done(self.journal.bury([letter(row) for row in rows]))
        limits = Limits(pending_rows=6, in_hand=5)
        self.assertEqual(self.done(self.journal.prune(100.0, limits)), Pruned(0, 0))
        self.done(self.journal.revive([row.seq for row in rows], 100.0))
        self.assertEqual(self.done(self.journal.prune(100.0, limits)), Pruned(0, 2))

    def test_a_backlog_within_its_limit_is_left_alone(self) -> None:
        self.done(self.journal.record(an_event(received_at=100.0), [to("slack")] * 20))
        self.assertEqual(self.done(self.journal.prune(100.0, Limits(pending_rows=20))), Pruned(0, 0))
        self.assertEqual(len(self.window()), 20)

    def test_an_event_leaves_the_state_of_its_object_behind_the_last_one_counts(self) -> None:
        self.done(self.journal.record(an_event("b"), [to("slack")]))
        self.done(self.journal.record(an_event("a"), []))
        self.done(self.journal.record(an_event("b", state="Stopped", received_at=5.5), []))
        self.assertEqual(self.done(self.journal.states()), [a_state("a"), a_state("b", "Stopped", 5.5)])

    def test_the_health_that_was_told_is_a_part_of_the_state(self) -> None:
        ill = replace(a_state("b"), health="unhealthy")
        self.done(self.journal.record(an_event("a", docker=DockerDetails(health="healthy")), []))
        self.done(self.journal.catch_up([], [ill], 9.5))
        self.assertEqual(self.done(self.journal.states()), [replace(a_state("a"), health="healthy"), ill])
        self.done(self.journal.record(an_event("a"), []))
        self.assertEqual(self.done(self.journal.states()), [a_state("a"), ill])

    def test_so_is_a_crash_loop_for_as_long_as_docker_keeps_it_up(self) -> None:
        for kept, docker in (
            (True, DockerDetails(event="crash", looping=True, restarting=True)),
            (True, DockerDetails(event="start", looping=True)),
            (False, DockerDetails(event="crash", restarting=True)),
            # Whoever starts it again, it is not Docker.
            (False, DockerDetails(event="crash", looping=True)),
            *((False, DockerDetails(event=over, looping=True)) for over in ("stop", "finish", "recovery", "remove")),
        ):
            self.done(self.journal.record(an_event("a", docker=docker), []))
            self.assertEqual(self.done(self.journal.states()), [replace(a_state("a"), looping=kept)], docker)
        self.done(self.journal.catch_up([], [replace(a_state("b"), looping=True)], 9.5))
        self.assertEqual(self.done(self.journal.states()), [a_state("a"), replace(a_state("b"), looping=True)])

    def test_what_things_are_called_is_known(self) -> None:
        docker = DockerDetails(event="start", name="web-1", stack="shop", node="hh-3")
        self.done(self.journal.record(an_event("a", docker=docker), []))
        called = replace(a_state("b"), name="db-1", stack="shop", node="hh-4")
        self.done(self.journal.catch_up([], [called], 9.5))
        self.assertEqual(
            self.done(self.journal.states()), [replace(a_state("a"), name="web-1", stack="shop", node="hh-3"), called]
        )

    def test_only_what_can_be_listed_has_a_state(self) -> None:
        for kind in ("nodecluster", "node", "stack", "service", "container"):
            self.done(self.journal.record(an_event(kind, type=kind), []))
        for kind in ("action", "stream", "destination", "error", "user-notification"):
            self.done(self.journal.record(an_event(kind, type=kind), []))
        known = {each.type for each in self.done(self.journal.states())}
        self.assertEqual(known, {"nodecluster", "node", "stack", "service", "container"})

    def test_what_is_deleted_has_no_state(self) -> None:
        self.done(self.journal.record(an_event("a"), []))
        self.done(self.journal.record(an_event("b"), []))
        self.done(self.journal.record(an_event("a", action="delete", state="Terminated"), []))
        self.done(self.journal.record(an_event("never", action="delete", state="Terminated"), []))
        self.assertEqual(self.done(self.journal.states()), [a_state("b")])

    def test_states_outlive_the_history_but_not_those_of_what_was_terminated(self) -> None:
        self.done(self.journal.record(an_event("a", received_at=1.0), []))
        self.done(self.journal.record(an_event("b", received_at=1.0, state="Terminated"), []))
        self.done(self.journal.record(an_event("c", received_at=90.0, state="Terminated"), []))
        self.done(self.journal.prune(100.0, Limits(history_seconds=50.0)))
        self.assertEqual(self.done(self.journal.states()), [a_state("a", at=1.0), a_state("c", "Terminated", 90.0)])

    def test_a_source_that_was_never_watched_is_not_complete(self) -> None:
        self.assertEqual(self.done(self.journal.watch("here")), Watch("here"))
        self.done(self.journal.watched(7.5))
        self.assertEqual(self.done(self.journal.watch("here")), Watch("here", 7.5))

    def test_what_is_known_of_one_source_is_not_taken_for_another(self) -> None:
        self.done(self.journal.watch("here"))
        self.done(self.journal.watched(7.5))
        self.done(self.journal.record(an_event("a"), []))
        self.assertEqual(self.done(self.journal.watch("there")), Watch("there"))
        self.assertEqual(self.done(self.journal.states()), [])
        self.assertEqual(self.done(self.journal.watch("here")), Watch("here"))

    def test_what_was_missed_is_recorded_together_with_being_complete(self) -> None:
        self.done(self.journal.watch("here"))
        self.done(self.journal.record(an_event("a"), [to("slack")]))
        gone = an_event("a", action="delete", synthetic=True, missed_from=1.5, missed_to=2.5)
        told = [(gone, [to("slack"), to("log")]), (an_event("b", state="Stopped"), []), (an_event("c"), [to("slack")])]
        rows = self.done(self.journal.catch_up(told, [a_state("d")], 9.5))
        self.assertEqual([row.id for row in rows], ["a-1", "a-2", "c-1"])
        self.assertEqual([row.seq for row in self.window()][1:], [rows[0].seq, rows[2].seq])
        self.assertEqual(self.window("log"), [rows[1]])
        self.assertEqual(rows[0].event, gone)
        self.assertEqual([each.deliveries for each in self.done(self.journal.history(9))], [1, 0, 2, 1])
        self.assertEqual(self.done(self.journal.states()), [a_state("b", "Stopped"), a_state("c"), a_state("d")])
        self.assertEqual(self.done(self.journal.watch("here")), Watch("here", 9.5))
        self.done(self.journal.record(an_event("e"), [to("slack")]))
        self.assertEqual(self.window()[-1].id, "e-1")

    def test_much_can_be_missed_at_once(self) -> None:
        told = [(an_event(f"{n:04}"), [to("slack")]) for n in range(600)]
        self.done(self.journal.catch_up(told, [a_state(f"{n:04}") for n in range(600, 1200)], 9.5))
        self.assertEqual([row.id for row in self.window(limit=2000)], [f"{n:04}-1" for n in range(600)])
        self.assertEqual(
            [each.uri[-5:-1] for each in self.done(self.journal.states())], [f"{n:04}" for n in range(1200)]
        )

    def test_states_and_watch_are_there_after_closing_and_opening_again(self) -> None:
        self.done(self.journal.watch("here"))
        self.done(self.journal.catch_up([(an_event("a"), [])], [a_state("b")], 9.5))
        self.done(self.journal.close())
        self.done(self.journal.open())
        self.assertEqual(self.done(self.journal.states()), [a_state("a"), a_state("b")])
        self.assertEqual(self.done(self.journal.watch("here")), Watch("here", 9.5))
