"""Each promise by itself, with the world in our hands."""

from datetime import UTC, datetime

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.resync.world import World, uri_of
from tutumstream.docker_details import DockerDetails
from tutumstream.event import Event
from tutumstream.resync.service import AGAIN, HEARTBEAT, SETTLE, TOLD_AFTER

WEB, DB = uri_of("container", 1), uri_of("container", 2)


class AGap(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.change = self.world.platform.change
        self.change("container", 1, "Running", service=uri_of("service", 1))
        self.change("container", 2, "Running")

    def known(self) -> None:
        """Everything was listed once, silently; then the stream is cut."""
        self.world.settle()
        self.assertEqual(self.world.told(), [])
        self.world.cut()

    def begin(self) -> None:
        """The stream is there again, and the server has answered the first ping."""
        self.world.connect()
        self.world.clock.advance(SETTLE)
        self.world.deliver()

    def serve(self) -> None:
        """The REST API answers everything."""
        while self.world.requests.waiting:
            self.world.requests.serve()

    def told(self) -> list[tuple[str, str, str]]:
        """Of objects: action, URI and state."""
        return [(each.action, each.resource_uri, each.state) for each in self.world.told() if each.type != "stream"]

    def missed_from(self) -> list[float]:
        """Since when: of each object that was told as missed."""
        return [each.missed_from for each in self.world.told() if each.synthetic]

    def said(self) -> list[tuple[str, str, str]]:
        """Of the gap: action, state, message."""
        return [(each.action, each.state, each.message) for each in self.world.told() if each.type == "stream"]

    def test_is_told_with_when_it_was_and_what_was_missed(self) -> None:
        self.known()
        lost = self.world.clock.seconds()
        self.world.clock.advance(41.0)
        self.change("container", 1, "Stopped", service=uri_of("service", 1))
        self.change("container", 2, None)
        self.change("container", 3, "Starting")
        self.world.clock.advance(1.0)
        self.world.settle()
        self.assertEqual(
            self.told(),
            [
                ("update", WEB, "Stopped"),
                ("create", uri_of("container", 3), "Starting"),
                ("delete", DB, "Terminated"),
            ],
        )
        what = "42 s without a stream: 1 container stopped, 1 container created, 1 container deleted"
        self.assertEqual(self.said(), [("caught-up", "Changed", what)])
        for event in self.world.told():
            self.assertEqual((event.missed_from, event.missed_to), (lost, lost + 42.0))
            self.assertEqual(event.synthetic, event.type != "stream")
        self.assertEqual(self.world.told()[0].parents, (uri_of("service", 1),))

    def test_tells_why_something_stopped_where_the_server_shows_it(self) -> None:
        self.known()
        self.change(
            "container", 1, "Stopped", docker={"event": "crash", "exit_code": 3, "expected": False, "name": "web"}
        )
        self.change("container", 2, "Stopped", docker=7)
        self.world.settle()
        first, second = [event for event in self.world.told() if event.type == "container"]
        self.assertEqual(first.docker, DockerDetails(event="crash", exit_code=3, expected=False, name="web", news=True))
        self.assertEqual((first.synthetic, second.docker), (True, None))

    def test_tells_once_that_something_became_unhealthy_and_once_that_it_is_well_again(self) -> None:
        self.known()
        for event, health in (("unhealthy", "unhealthy"), ("start", "healthy")):
            for _ in range(2):
                self.world.platform.objects[WEB]["docker"] = {"event": event, "health": health}
                self.world.settle()
                self.world.cut()
        told = [event.docker for event in self.world.told() if event.type == "container"]
        self.assertEqual([(each.event, each.news) for each in told if each], [("unhealthy", True), ("healthy", True)])

    def test_counts_what_the_server_tells_late_by_itself_and_tells_it_no_second_time(self) -> None:
        self.known()
        self.world.clock.advance(41.0)
        self.world.connect()
        before, within, after = (self.moment(seconds) for seconds in (-60.0, -20.0, 0.5))
        self.change("container", 1, "Stopped", when=within)
        self.change("container", 2, "Stopped", when=before)
        self.change("container", 3, "Starting", when=after)
        self.world.settle()
        self.assertEqual(
            self.told(),
            [("update", WEB, "Stopped"), ("update", DB, "Stopped"), ("create", uri_of("container", 3), "Starting")],
        )
        self.assertEqual(self.said(), [("caught-up", "Changed", "41 s without a stream: 1 container stopped")])

    def moment(self, seconds: float) -> str:
        """So long after now, as an engine says it."""
        return datetime.fromtimestamp(self.world.clock.seconds() + seconds, UTC).isoformat()

    def test_without_changes_is_told_as_such_and_looked_into_no_more(self) -> None:
        self.known()
        self.change("container", 1, "Stopped")
        self.change("container", 1, "Running")
        self.world.settle()
        self.world.clock.advance(AGAIN)
        self.assertEqual(len(self.world.requests.waiting), 0)
        self.assertEqual(self.told(), [])
        self.assertEqual(self.said(), [("caught-up", "Unchanged", "1 s without a stream: nothing was missed")])

    def test_waits_for_what_a_list_already_shows_and_the_stream_does_not_yet(self) -> None:
        self.known()
        self.begin()
        self.change("container", 1, "Stopping")
        self.change("container", 1, "Stopped")
        self.serve()
        self.assertEqual(self.told(), [])
        self.world.settle()
        self.assertEqual(self.told(), [("update", WEB, "Stopping"), ("update", WEB, "Stopped")])

    def test_tells_nothing_of_an_object_after_it_was_heard_of(self) -> None:
        self.known()
        self.change("container", 1, "Stopped")
        self.begin()
        self.change("container", 1, "Starting")
        self.world.deliver()
        self.serve()
        self.world.settle()
        self.assertEqual(self.told(), [("update", WEB, "Starting")])

    def test_takes_nothing_for_gone_that_only_a_list_does_not_show(self) -> None:
        self.known()
        self.change("container", 2, "Stopped")
        self.begin()
        listed = self.world.platform.objects.pop(DB)
        while self.world.requests.waiting and DB not in self.world.requests.waiting[0][0]:
            self.world.requests.serve()
        self.world.platform.objects[DB] = listed
        self.world.settle()
        self.assertEqual(self.told(), [("update", DB, "Stopped")])

    def test_makes_blind_from_the_loss_to_the_end_of_the_comparison(self) -> None:
        self.assertEqual(self.world.resync.blind_since, self.world.clock.seconds())
        self.known()
        lost = self.world.clock.seconds()
        self.assertEqual(self.world.resync.blind_since, lost)
        self.world.clock.advance(10.0)
        self.begin()
        self.world.cut()
        self.assertEqual(self.world.resync.blind_since, lost)
        self.world.settle()
        self.assertEqual(self.world.resync.blind_since, 0.0)

    def test_that_the_process_slept_through_begins_when_it_was_last_awake(self) -> None:
        self.world.settle()
        began = self.world.clock.seconds()
        self.world.clock.advance(HEARTBEAT)
        self.world.resync.alive(began + HEARTBEAT + 1.0)
        self.world.clock.advance(HEARTBEAT)
        self.world.kill()
        self.world.clock.advance(100.0)
        self.change("container", 1, "Stopped")
        self.world.settle()
        self.assertEqual(self.world.told()[0].missed_from, began + HEARTBEAT + 1.0)

    def test_after_a_kill_begins_with_the_last_event_but_for_a_second(self) -> None:
        self.world.settle()
        began = self.world.clock.seconds()
        event = Event(id="e", received_at=0.0, type="container", action="update", state="Running", resource_uri=WEB)
        for seconds in (0.5, 3.0, 3.5, 7.0, 7.5):
            self.world.resync.take(replace(event, received_at=began + seconds))
        self.world.kill()
        self.world.clock.advance(100.0)
        self.change("container", 1, "Stopped")
        self.world.settle()
        self.assertEqual(self.missed_from(), [began + 7.0])

    def test_of_a_stream_that_was_lost_before_a_kill_begins_with_the_loss(self) -> None:
        self.world.settle()
        self.world.clock.advance(HEARTBEAT / 2)
        lost = self.world.clock.seconds()
        self.world.cut()
        self.world.kill()
        self.change("container", 1, "Stopped")
        self.world.settle()
        self.assertEqual(self.missed_from(), [lost])

    def test_in_which_events_came_before_it_was_made_good_began_before_them(self) -> None:
        self.known()
        lost = self.world.clock.seconds()
        self.world.clock.advance(40.0)
        self.world.connect()
        self.world.resync.take(
            Event(
                id="e",
                received_at=self.world.clock.seconds(),
                type="container",
                action="update",
                state="Running",
                resource_uri=WEB,
            )
        )
        self.world.kill()
        self.change("container", 2, "Stopped")
        self.world.settle()
        self.assertEqual(self.missed_from(), [lost])

    def test_is_told_itself_while_the_lists_cannot_be_had_and_once_only(self) -> None:
        self.known()
        self.change("container", 1, "Stopped")
        for _ in range(2):
            self.begin()
            self.world.requests.fail(503)
            self.assertEqual(self.said(), [], "it may pass")
            self.world.cut()
            self.world.clock.advance(TOLD_AFTER)
        self.begin()
        for _ in range(8):
            self.world.requests.fail(503)
            self.world.clock.advance(TOLD_AFTER)
        ((action, state, message),) = self.said()
        self.assertEqual((action, state), ("gap", ""))
        self.assertIn("the REST API can't be asked (it answered 503)", message)
        self.world.cut()
        self.begin()
        for _ in range(8):
            self.world.requests.fail(0)
            self.world.clock.advance(TOLD_AFTER)
        self.assertEqual(len(self.said()), 1)
        self.world.settle()
        self.assertEqual([action for action, _, _ in self.said()], ["gap", "caught-up"])
        self.assertEqual(self.told(), [("update", WEB, "Stopped")])

    def test_that_was_told_is_told_as_over_even_if_nothing_changed(self) -> None:
        self.known()
        self.begin()
        for _ in range(4):
            self.world.requests.fail(503)
            self.world.clock.advance(TOLD_AFTER)
        self.world.settle()
        self.assertEqual([state for _, state, _ in self.said()], ["", "Cleared"])

    def test_lasts_until_it_was_made_good_however_often_the_stream_comes_and_goes(self) -> None:
        self.known()
        lost = self.world.clock.seconds()
        self.change("container", 1, "Stopped")
        for _ in range(3):
            self.begin()
            self.world.clock.advance(60.0)
            self.world.cut()
        self.world.kill()
        self.world.settle()
        self.assertEqual(self.missed_from(), [lost])

    def test_in_the_middle_of_telling_is_told_once(self) -> None:
        self.known()
        self.change("container", 1, "Stopped")
        self.begin()
        self.serve()
        self.world.deliver()
        self.assertEqual(len(self.told()), 1)
        self.world.kill()
        self.world.settle()
        self.assertEqual(len(self.told()), 1)

    def test_of_another_source_is_none(self) -> None:
        self.known()
        self.world.source = "another"
        self.world.platform.objects.clear()
        self.change("container", 4, "Running")
        self.world.kill()
        self.world.settle()
        self.assertEqual(self.world.told(), [])

    def test_is_not_asked_about_before_the_connection_stands(self) -> None:
        self.known()
        for _ in range(5):
            self.world.connect()
            self.world.clock.advance(SETTLE / 2)
            self.world.deliver()
            self.assertEqual(len(self.world.requests.waiting), 0)
            self.world.cut()
        self.world.connect()
        self.world.clock.advance(SETTLE)
        self.assertEqual(len(self.world.requests.waiting), 0, "the server has answered nothing yet")
        self.world.deliver()
        self.assertEqual(len(self.world.requests.waiting), 1)
        self.world.resync.stop()
        self.assertEqual((len(self.world.requests.waiting), self.world.clock.getDelayedCalls()), (0, []))

    def test_that_ends_while_it_is_looked_into_leaves_nothing_behind(self) -> None:
        self.known()
        self.change("container", 1, None)
        self.change("container", 2, None)
        self.begin()
        while not any(WEB in url for url, _ in self.world.requests.waiting):
            self.world.requests.serve()
        self.world.cut()
        self.assertEqual(len(self.world.requests.waiting), 0)
        self.world.clock.advance(1000.0)
        self.assertEqual(len(self.world.requests.waiting), 0)

    def test_on_a_first_start_without_lists_tells_what_is_known_and_is_silent_about_the_rest(self) -> None:
        self.begin()
        self.change("container", 3, "Running")
        self.world.deliver()
        self.world.cut()
        self.change("container", 3, "Stopped")
        self.world.settle()
        self.assertEqual(
            self.told(), [("create", uri_of("container", 3), "Running"), ("update", uri_of("container", 3), "Stopped")]
        )
        self.assertEqual(self.said(), [])

    def test_with_belated_events_tells_nothing_twice(self) -> None:
        self.known()
        self.change("container", 1, "Stopped")
        self.change("container", 2, None)
        self.world.settle()
        before = self.told()
        for state, action, uri in (
            ("Stopped", "update", WEB),
            ("Terminated", "update", DB),
            ("Terminated", "delete", DB),
        ):
            late = Event(id=f"{uri}{action}", received_at=1.0, type="container", action=action, state=state)
            self.world.resync.take(replace(late, resource_uri=uri, received_at=self.world.clock.seconds()))
        self.assertEqual(self.told(), before)

    def test_with_news_after_it_of_what_is_in_the_state_that_was_told_tells_them(self) -> None:
        self.known()
        docker = {"name": "web"}
        self.change("container", 5, "Running", docker={**docker, "event": "start"})
        self.change("container", 3, "Running", docker={**docker, "event": "unhealthy", "health": "unhealthy"})
        self.change("container", 4, "Stopped", docker={**docker, "event": "crash"})
        self.change("container", 6, "Running", docker={**docker, "event": "start"})
        self.change("container", 7, "Stopped", docker={**docker, "event": "crash"})
        self.change("container", 8, "Stopped", docker={**docker, "event": "crash"})
        self.change("container", 9, "Stopped", docker={**docker, "event": "crash"})
        self.world.settle()
        self.world.connect()
        known = len(self.told())
        for number, state, details in (
            (3, "Running", DockerDetails(event="unhealthy")),
            (4, "Stopped", DockerDetails(event="crash")),
            (9, "Stopped", DockerDetails(event="stop")),
            # From here on it is news.
            (3, "Running", DockerDetails(event="healthy")),
            (5, "Running", DockerDetails(event="unhealthy")),
            (5, "Running", DockerDetails(event="recovery")),
            (6, "Running", DockerDetails(error="No such image")),
            (7, "Stopped", DockerDetails(event="crash", given_up=True)),
            (8, "Stopped", DockerDetails(event="stop", looping=True)),
        ):
            self.world.resync.take(
                Event(
                    id=f"{number}{details.event}",
                    received_at=self.world.clock.seconds(),
                    type="container",
                    action="update",
                    state=state,
                    resource_uri=uri_of("container", number),
                    docker=details,
                )
            )
        told = [each.docker.event for each in self.world.told() if each.docker is not None and not each.synthetic]
        self.assertEqual(
            (told, len(self.told()) - known), (["healthy", "unhealthy", "recovery", "", "crash", "stop"], 6)
        )

    def test_that_ends_in_the_journal_s_refusal_is_tried_again(self) -> None:
        self.known()
        self.change("container", 1, "Stopped")
        catch_up, refusals = self.world.resync._catch_up_with, iter([True, False])
        self.world.resync._catch_up_with = lambda *asked: self.world.refuse() if next(refusals) else catch_up(*asked)
        self.begin()
        self.serve()
        self.world.deliver()
        self.world.clock.advance(AGAIN - 0.1)
        self.assertEqual((self.told(), len(self.world.requests.waiting)), ([], 0), "it needs its time")
        self.world.settle()
        self.assertEqual(self.told(), [("update", WEB, "Stopped")])
