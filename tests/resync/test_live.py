from datetime import UTC, datetime

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.docker_details import DockerDetails
from tutumstream.event import Event
from tutumstream.resync.live import ECHO_SECONDS, MOST, Live

AT = 1_000_000.0
"""The stream was opened."""


def event(
    uri: str, state: str = "Running", what: str = "", *, action: str = "update", kind: str = "container", at: float = AT
) -> Event:
    docker = DockerDetails(event=what) if what else None
    return Event(id="e", received_at=at, type=kind, action=action, state=state, resource_uri=uri, docker=docker)


def happened(uri: str, when: str, state: str = "Stopped") -> Event:
    """An event that says when."""
    return Event(
        id="e",
        received_at=AT,
        type="container",
        action="update",
        state=state,
        resource_uri=uri,
        docker=DockerDetails(time=when),
    )


def moment(seconds: float) -> str:
    """So long before the stream was opened."""
    return datetime.fromtimestamp(AT - seconds, UTC).isoformat()


class WhatIsToldLate(SynchronousTestCase):
    def setUp(self) -> None:
        self.live = Live()
        self.live.opened(AT)

    def late(self, since: float = 60.0) -> dict[str, str]:
        return {uri: event.state for uri, event in self.live.late(AT - since).items()}

    def test_happened_in_the_gap_neither_before_nor_after_it(self) -> None:
        for uri, seconds in (("before", 60.1), ("first", 60.0), ("last", 0.1), ("after", 0.0)):
            self.assertTrue(self.live.admits(happened(uri, moment(seconds))))
        self.assertEqual(list(self.late()), ["first", "last"])

    def test_is_of_each_object_what_became_of_it_last(self) -> None:
        for seconds, state in ((20.0, "Stopped"), (10.0, "Running")):
            self.live.admits(happened("a", moment(seconds), state))
        self.assertEqual(self.late(), {"a": "Running"})

    def test_is_nothing_of_which_nobody_says_when_it_was(self) -> None:
        for uri, when in (("silent", ""), ("strange", "yesterday"), ("year 0", "0001-01-01T00:00:00")):
            self.assertTrue(self.live.admits(happened(uri, when)))
        self.assertTrue(self.live.admits(event("plain")))
        self.assertEqual(self.late(), {})

    def test_is_that_something_is_gone_unless_it_is_known_to_have_gone_later(self) -> None:
        for uri, when in (("found", ""), ("then", moment(20.0)), ("later", moment(-1.0)), ("long ago", moment(61.0))):
            gone = DockerDetails(event="remove", time=when)
            self.assertTrue(self.live.admits(replace(event(uri, "Terminated", action="delete"), docker=gone)))
        self.assertEqual(self.late(), {"found": "Terminated", "then": "Terminated"})

    def test_is_not_forgotten_with_a_stream_that_is_lost_before_the_gap_was_made_good(self) -> None:
        self.live.admits(happened("a", moment(20.0)))
        self.live.silence()
        self.live.opened(AT + 30.0)
        self.live.admits(happened("b", moment(-10.0)))
        self.assertEqual(list(self.late()), ["a", "b"])

    def test_belongs_to_no_later_gap(self) -> None:
        self.live.admits(happened("a", moment(20.0)))
        self.live.told([], AT)
        self.live.admits(happened("b", moment(10.0)))
        self.live.opened(AT + 100.0)
        self.assertEqual(self.late(), {})


class WhatIsHeardOf(SynchronousTestCase):
    def setUp(self) -> None:
        self.live = Live()
        self.live.listen()

    def test_are_objects_that_are_listed_since_their_list_was_asked_for(self) -> None:
        self.live.admits(event("a"))
        self.live.listen()
        self.live.admits(event("b"))
        self.live.admits(event("c", kind="action"))
        self.assertEqual(self.live.heard, {"b"})
        self.live.silence()
        self.live.admits(event("d"))
        self.assertEqual(self.live.heard, set())

    def test_may_be_too_many_to_be_remembered(self) -> None:
        self.live.heard.update(str(number) for number in range(MOST))
        self.assertFalse(self.live.too_much)
        for uri in ("a", "b"):
            self.live.admits(event(uri))
        self.assertTrue(self.live.too_much)
        self.assertEqual(len(self.live.heard), MOST + 1)


class WhatWasToldAsMissed(SynchronousTestCase):
    def setUp(self) -> None:
        self.live = Live()

    def told(self, *changes: Event) -> None:
        self.live.opened(AT)
        self.live.listen()
        self.live.told(changes, AT)

    def test_is_not_told_again_by_its_own_event_and_what_comes_then_is(self) -> None:
        self.told(event("a", "Stopped"))
        self.assertFalse(self.live.admits(event("a", "Stopped")))
        self.assertTrue(self.live.admits(event("a", "Stopped")))

    def test_is_told_again_only_as_something_else(self) -> None:
        for belated in (event("a"), event("a", "Stopped", action="delete"), event("b", "Stopped")):
            self.told(event("a", "Stopped"))
            self.assertTrue(self.live.admits(belated))

    def test_as_gone_does_not_end_a_second_time(self) -> None:
        self.told(event("a", "Terminated", action="delete"))
        for belated in (event("a", "Terminated"), event("a", "Terminated", action="delete")) * 2:
            self.assertFalse(self.live.admits(belated))
        self.assertTrue(self.live.admits(event("a")))

    def test_does_not_hide_what_docker_tells_of_one_whose_state_stays(self) -> None:
        for what in ("unhealthy", "healthy", "recovery", "oom", "rename"):
            self.told(event("a", "Running", "start"))
            self.assertTrue(self.live.admits(event("a", "Running", what)), what)
        self.told(event("a", "Running", "start"))
        self.assertFalse(self.live.admits(event("a", "Running", "start")))

    def test_is_waited_for_only_for_a_while(self) -> None:
        for after, admitted in ((ECHO_SECONDS - 0.1, False), (ECHO_SECONDS, True)):
            self.told(event("a", "Stopped"))
            self.assertEqual(self.live.admits(event("a", "Stopped", at=AT + after)), admitted)

    def test_is_waited_for_though_the_stream_was_lost_again(self) -> None:
        self.told(event("a", "Stopped"))
        self.live.silence()
        self.assertTrue(self.live.busy)
        self.assertFalse(self.live.admits(event("a", "Stopped")))


class BeingBusy(SynchronousTestCase):
    """Else no event is shown."""

    def test_is_needed_from_when_the_stream_opens_until_what_was_missed_is_told(self) -> None:
        live = Live()
        self.assertFalse(live.busy)
        live.opened(AT)
        self.assertTrue(live.busy)
        live.listen()
        live.silence()
        self.assertTrue(live.busy, "it is asked again")
        live.told([], AT)
        self.assertFalse(live.busy)

    def test_is_needed_as_long_as_a_belated_event_may_come_or_another_comparison_is_under_way(self) -> None:
        for again in (False, True):
            live = Live()
            live.opened(AT)
            live.told([event("a")], AT)
            self.assertTrue(live.busy)
            if again:
                live.listen()
            live.admits(event("b", at=AT + ECHO_SECONDS))
            self.assertEqual(live.busy, again)
            live.silence()
            self.assertFalse(live.busy)

    def test_is_needed_for_what_comes_late_though_belated_events_are_waited_for_no_longer(self) -> None:
        live = Live()
        live.told([event("a")], AT)
        live.opened(AT + ECHO_SECONDS)
        live.admits(event("b", at=AT + ECHO_SECONDS))
        self.assertTrue(live.busy)
