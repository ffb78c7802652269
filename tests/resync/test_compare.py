from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.docker_details import DockerDetails
from tutumstream.event import Event
from tutumstream.journal.objects import ObjectState, left_behind
from tutumstream.resources.inventory import Inventory, Listed
from tutumstream.resync.compare import Change, Findings, compare, missing
from tutumstream.resync.words import MOST, duration, summary

ALL = frozenset({"nodecluster", "node", "stack", "service", "container"})


def uri(kind: str, name: str) -> str:
    return f"/api/v1/{kind}/{name}/"


def known(kind: str, name: str, state: str = "Running", *parents: str) -> ObjectState:
    return ObjectState(uri(kind, name), kind, state, parents, 1.0)


def listed(kind: str, name: str, state: str = "Running", *belongs_to: str) -> Listed:
    return Listed(uri(kind, name), kind, state, belongs_to)


def found(
    before: list[ObjectState],
    now: list[Listed],
    live: tuple[str, ...] = (),
    first: bool = False,
    types: frozenset[str] = ALL,
) -> Findings:
    inventory = Inventory({each.uri: each for each in now}, types)
    return compare({each.uri: each for each in before}, inventory, live, 9.0, first)


class AComparison(SynchronousTestCase):
    def test_finds_what_came_changed_and_went_wholes_before_parts_and_the_gone_last(self) -> None:
        before = [
            known("container", "a"),
            known("stack", "s"),
            known("service", "x"),
            known("stack", "y"),
            known("node", "n"),
        ]
        now = [
            listed("container", "a", "Stopped"),
            listed("container", "b"),
            listed("stack", "s", "Partly running"),
            listed("node", "n"),
        ]
        told = [(each.action, each.now.uri, each.now.state) for each in found(before, now).changes]
        self.assertEqual(
            told,
            [
                ("update", uri("stack", "s"), "Partly running"),
                ("update", uri("container", "a"), "Stopped"),
                ("create", uri("container", "b"), "Running"),
                ("delete", uri("service", "x"), "Terminated"),
                ("delete", uri("stack", "y"), "Terminated"),
            ],
        )

    def test_gives_the_parents_that_the_stream_would_have_sent(self) -> None:
        now = [
            listed("nodecluster", "k"),
            listed("node", "n", "Deployed", uri("nodecluster", "k")),
            listed("stack", "s"),
            listed("service", "w", "Running", uri("stack", "s")),
            listed("container", "a", "Running", uri("service", "w"), uri("node", "n")),
        ]
        (change,) = [each for each in found([], now).changes if each.now.type == "container"]
        self.assertEqual(
            change.now.parents, (uri("service", "w"), uri("node", "n"), uri("stack", "s"), uri("nodecluster", "k"))
        )

    def test_keeps_the_parents_that_were_known_where_nothing_else_says_them(self) -> None:
        before = [
            known("container", "a", "Running", uri("service", "w")),
            known("container", "b", "Running", uri("node", "n")),
        ]
        changes = found(before, [listed("container", "a", "Stopped")]).changes
        self.assertEqual([each.now.parents for each in changes], [(uri("service", "w"),), (uri("node", "n"),)])

    def test_calls_what_is_gone_as_it_was_called_and_says_that_it_was_removed(self) -> None:
        before = [
            replace(known("container", "a"), name="web-1", stack="shop", node="hh-3"),
            replace(known("service", "s"), name="web", stack="shop"),
            known("container", "b"),
        ]
        removed = DockerDetails(event="remove", name="web-1", stack="shop", node="hh-3")
        self.assertEqual(
            [change.docker for change in found(before, []).changes],
            [removed, None, DockerDetails(name="web", stack="shop")],
        )

    def test_learns_what_things_are_called(self) -> None:
        shown = replace(listed("container", "a"), docker=DockerDetails(event="start", name="web-1", stack="shop"))
        result = found([known("container", "a")], [shown])
        self.assertEqual((result.changes, [one.name for one in result.learned]), ((), ["web-1"]))
        self.assertEqual(found(list(result.learned), [shown]).learned, ())
        # A server that does not say takes no name away.
        node = replace(known("node", "n", "Deployed"), name="hh-3")
        (lost,) = found([node], [listed("node", "n", "Unreachable")]).changes
        self.assertEqual(lost.now.name, "hh-3")

    def test_learns_a_new_name_stack_or_node_of_what_is_in_the_state_that_it_was(self) -> None:
        named = {"name": "web-1", "stack": "shop", "node": "hh-3"}
        for changed in named:
            shown = DockerDetails(event="start", **{**named, changed: "other"})
            result = found(
                [replace(known("container", "a"), **named)], [replace(listed("container", "a"), docker=shown)]
            )
            self.assertEqual((result.changes, [getattr(one, changed) for one in result.learned]), ((), ["other"]))

    def test_tells_a_crash_from_a_stop_where_the_server_knows_it_and_what_is_wrong_as_news(self) -> None:
        crash = DockerDetails(event="crash", exit_code=3, expected=False)
        stop = DockerDetails(event="stop", exit_code=137)
        ill = DockerDetails(event="unhealthy", health="unhealthy")
        before = [known("container", "a"), known("container", "b")]
        now = [
            replace(listed("container", "a", "Stopped"), docker=crash),
            replace(listed("container", "b", "Stopped"), docker=stop),
            replace(listed("container", "c"), docker=ill),
            listed("container", "d"),
        ]
        told = [
            (each.docker and each.docker.event, each.docker and each.docker.news) for each in found(before, now).changes
        ]
        self.assertEqual(told, [("crash", True), ("stop", False), ("unhealthy", True), (None, None)])

    def test_tells_a_change_of_health_of_what_runs_as_before(self) -> None:
        def told(before: str, health: str, event: str = "start", state: str = "Running") -> list[tuple[str, bool]]:
            was = replace(known("container", "a", state), health=before)
            shown = DockerDetails(event=event, health=health, expected=event == "start")
            result = found([was], [replace(listed("container", "a", state), docker=shown)])
            self.assertEqual(
                [each.health for each in (*(change.now for change in result.changes), *result.learned)],
                [health] if before != health else [],
                "it is kept in mind",
            )
            self.assertLessEqual({each.action for each in result.changes}, {"update"})
            for each in result.changes:
                self.assertEqual(each.docker and each.docker.expected, health == "healthy")
            return [(each.docker.event, each.docker.news) for each in result.changes if each.docker is not None]

        for before in ("", "starting", "healthy"):
            for event in ("unhealthy", "start"):
                self.assertEqual(told(before, "unhealthy", event), [("unhealthy", True)])
        self.assertEqual(told("unhealthy", "healthy"), [("healthy", True)])
        for before, health in (("", "healthy"), ("starting", "healthy"), ("unhealthy", "starting"), ("healthy", "")):
            self.assertEqual(told(before, health), [])
        self.assertEqual(told("unhealthy", "unhealthy", "unhealthy"), [])
        self.assertEqual(told("healthy", "unhealthy", "stop", "Stopped"), [])

    def test_tells_no_change_of_health_where_there_is_none_or_the_server_shows_none(self) -> None:
        ill = replace(known("container", "a"), health="unhealthy", name="web-1")
        renamed = DockerDetails(event="unhealthy", health="unhealthy", name="web-2")
        for shown in (renamed, None):
            result = found([ill], [replace(listed("container", "a"), docker=shown)])
            self.assertEqual((result.changes, len(result.learned)), ((), 1))

    def test_says_of_a_change_of_health_what_it_is(self) -> None:
        was = replace(known("container", "a"), health="healthy")
        ill = DockerDetails(event="unhealthy", health="unhealthy")
        result = found([was], [replace(listed("container", "a"), docker=ill)])
        self.assertEqual(summary(42.0, result, {}), "42 s without a stream: 1 container unhealthy")

    def test_tells_once_that_what_had_stopped_could_not_be_started_again(self) -> None:
        shown = DockerDetails(event="crash", expected=False, error="no space left on device", given_up=True)
        now = [replace(listed("container", "a", "Stopped"), docker=shown)]
        result = found([known("container", "a", "Stopped")], now)
        self.assertEqual([each.docker for each in result.changes], [replace(shown, news=True)])
        (told,) = (each.now for each in result.changes)
        self.assertEqual(found([told], now).changes, ())
        heard = left_behind(
            Event(
                id="1",
                received_at=1.0,
                type="container",
                action="update",
                state="Stopped",
                resource_uri=uri("container", "a"),
                docker=shown,
            )
        )
        assert heard is not None
        self.assertEqual(found([heard], now).changes, ())

    def test_tells_nothing_of_a_stop_or_crash_that_is_what_it_was(self) -> None:
        for shown in (
            DockerDetails(event="stop", exit_code=137),
            DockerDetails(event="crash", exit_code=3, expected=False),
            DockerDetails(event="crash", error="exec: not found", expected=False),
        ):
            now = [replace(listed("container", "a", "Stopped"), docker=shown)]
            self.assertEqual(found([known("container", "a", "Stopped")], now).changes, ())

    def test_tells_what_ended_a_crash_loop_though_the_state_is_what_it_was(self) -> None:
        gave_up = {"event": "crash", "exit_code": 3, "expected": False, "restart_count": 4, "given_up": True}
        for state, shown, told in (
            ("Stopped", {"event": "stop", "exit_code": 137}, ("stop", False)),
            ("Stopped", {"event": "finish", "exit_code": 0}, ("finish", False)),
            # Docker would have gone on, so it was stopped between two tries.
            ("Stopped", {"event": "crash", "exit_code": 3, "expected": False, "restart_count": 4}, ("stop", False)),
            ("Stopped", gave_up, ("crash", True)),
            ("Stopped", {**gave_up, "looping": True, "crashes": 5}, ("crash", True)),
            ("Running", {"event": "start"}, ("recovery", True)),
        ):
            before = replace(known("container", "a", state), looping=True)
            result = found([before], [replace(listed("container", "a", state), docker=DockerDetails(**shown))])
            (change,) = result.changes
            assert change.docker is not None
            self.assertEqual((change.docker.event, change.docker.news), told)
            self.assertEqual((change.docker.looping, change.now.looping, result.learned), (True, False, ()))
            self.assertEqual(change.docker.expected, told[0] != "crash")

    def test_tells_nothing_of_a_crash_loop_that_goes_on_or_that_nobody_can_say_it_of(self) -> None:
        for state, shown in (
            ("Stopped", {"event": "crash", "restarting": True, "restart_count": 4}),
            ("Stopped", {"event": "crash", "restarting": True, "restart_count": 4, "looping": True}),
            # It was told that often that somebody or something else starts it again.
            ("Stopped", {"event": "crash"}),
            ("Running", {"event": "start", "looping": True, "crashes": 5}),
            # It crashed lately, so the gateway waits for it to be well.
            ("Running", {"event": "start", "crashes": 5}),
            ("Running", {"event": "start", "slot": "s/1"}),
            ("Stopped", {"event": "stop", "slot": "s/1"}),
        ):
            before = replace(known("container", "a", state), looping=True)
            shown_now = replace(listed("container", "a", state), docker=DockerDetails(**shown))
            self.assertEqual(found([before], [shown_now]), Findings(), shown)
        self.assertEqual(found([before], [listed("container", "a", "Stopped")]), Findings())

    def test_tells_of_a_slot_of_a_swarm_only_what_became_of_it_last(self) -> None:
        def task(name: str, state: str, event: str, at: str, slot: str = "s/1") -> Listed:
            shown = DockerDetails(event=event, slot=slot, time=f"2026-11-28T05:00:{at}.000Z")
            return replace(listed("container", name, state), docker=shown)

        def news(*now: Listed) -> list[str]:
            changes = found([], list(now)).changes
            self.assertEqual(len(changes), len(now))
            return [each.now.uri.split("/")[-2] for each in changes if each.docker and each.docker.news]

        crashes = [task(name, "Stopped", "crash", at) for name, at in (("a", "01"), ("b", "03"), ("c", "02"))]
        self.assertEqual(news(*crashes), ["b"])
        self.assertEqual(news(*crashes, task("d", "Running", "start", "04")), [])
        self.assertEqual(news(*crashes, task("e", "Stopped", "crash", "00", "s/2")), ["b", "e"])

    def test_leaves_in_a_loop_what_was_told_as_such(self) -> None:
        before = replace(known("container", "a", "Stopped"), looping=True)
        shown = DockerDetails(event="start", crashes=5, restart_count=5)
        (change,) = found([before], [replace(listed("container", "a"), docker=shown)]).changes
        assert change.docker is not None
        self.assertEqual((change.docker.event, change.docker.looping), ("start", True))

    def test_tells_what_ended_a_crash_loop_with_the_state_that_came_of_it(self) -> None:
        before = replace(known("container", "a", "Stopped"), looping=True)
        (change,) = found([before], [replace(listed("container", "a"), docker=DockerDetails(event="start"))]).changes
        assert change.docker is not None
        self.assertEqual((change.docker.event, change.docker.looping, change.docker.news), ("recovery", True, True))
        self.assertFalse(change.now.looping)

    def test_keeps_a_crash_loop_in_mind_that_it_finds(self) -> None:
        shown = DockerDetails(event="crash", looping=True, restarting=True)
        (change,) = found(
            [known("container", "a")], [replace(listed("container", "a", "Stopped"), docker=shown)]
        ).changes
        assert change.docker is not None
        self.assertTrue(change.now.looping and change.docker.looping)

    def test_leaves_a_crash_loop_of_a_slot_to_who_has_the_slot_now(self) -> None:
        before = replace(known("container", "a"), looping=True)
        shown = DockerDetails(event="crash", slot="s/1", time="01")
        (change,) = found([before], [replace(listed("container", "a", "Stopped"), docker=shown)]).changes
        assert change.docker is not None
        self.assertFalse(change.docker.looping)

    def test_leaves_as_news_what_the_server_says_is(self) -> None:
        shown = DockerDetails(event="finish", news=True)
        (change,) = found(
            [known("container", "a")], [replace(listed("container", "a", "Stopped"), docker=shown)]
        ).changes
        assert change.docker is not None
        self.assertTrue(change.docker.news)

    def test_keeps_a_crash_loop_in_mind_until_its_end_was_told(self) -> None:
        before = replace(known("container", "a"), looping=True)
        shown = DockerDetails(event="start", crashes=5, health="healthy")
        result = found([before], [replace(listed("container", "a"), docker=shown)])
        self.assertEqual([(each.health, each.looping) for each in result.learned], [("healthy", True)])

    def test_leaves_out_what_was_heard_of(self) -> None:
        before, now = (
            [known("container", "a"), known("container", "gone")],
            [listed("container", "a", "Stopped"), listed("container", "b")],
        )
        live = (uri("container", "a"), uri("container", "b"), uri("container", "gone"))
        self.assertEqual(found(before, now, live), Findings())

    def test_learns_silently_the_first_time_and_what_is_over_already(self) -> None:
        now = [listed("container", "a"), listed("container", "b", "Terminated")]
        first = found([], now, first=True)
        self.assertEqual((first.changes, len(first.learned)), ((), 2))
        later = found([], now)
        self.assertEqual([each.now.uri for each in later.changes], [uri("container", "a")])
        self.assertEqual([each.uri for each in later.learned], [uri("container", "b")])

    def test_tells_once_that_something_went_however_long_it_is_listed_after_that(self) -> None:
        before, now = [known("container", "a")], [listed("container", "a", "Terminated")]
        result = found(before, now)
        self.assertEqual([(each.action, each.now.state) for each in result.changes], [("delete", "Terminated")])
        self.assertEqual([(each.uri, each.state) for each in result.learned], [(uri("container", "a"), "Terminated")])
        over = [known("container", "a", "Terminated")]
        self.assertEqual(found(over, now), Findings())
        self.assertEqual(found(over, []), Findings())
        self.assertEqual(missing({each.uri: each for each in over}, Inventory({}, ALL), ()), [])

    def test_tells_what_is_gone_parts_first_whether_it_is_listed_still_or_not(self) -> None:
        before = [known("stack", "s"), known("service", "w"), known("container", "a")]
        gone = found(before, [listed("stack", "s", "Terminated")]).changes
        self.assertEqual([each.now.type for each in gone], ["container", "service", "stack"])

    def test_says_nothing_of_types_that_the_server_does_not_list_and_of_states_that_it_does_not_tell(self) -> None:
        before = [known("nodecluster", "k", "Deployed"), known("container", "a")]
        self.assertEqual(found(before, [listed("container", "a", "")], types=frozenset({"container"})), Findings())

    def test_knows_a_redeployment_by_containers_that_are_all_new(self) -> None:
        web = uri("service", "web")
        before = [
            known("service", "web"),
            known("container", "a", "Running", web),
            known("container", "b", "Running", web),
        ]
        now = [
            listed("service", "web"),
            listed("container", "c", "Running", web),
            listed("container", "b", "Terminated", web),
        ]
        result = found(before, now)
        self.assertEqual(result.redeployed, (web,))
        self.assertEqual(summary(42.4, result, {}), "42 s without a stream: 1 service redeployed")
        kept = found(before, [*now[:2], listed("container", "b", "Running", web)])
        self.assertEqual(kept.redeployed, ())
        self.assertEqual(found(before, now, live=(uri("container", "c"),)).redeployed, ())
        for none_before in ([], [known("container", "a", "Terminated", web)]):
            self.assertEqual(found([before[0], *none_before], now).redeployed, (), "it was scaled up from nothing")
        for other, old, new in (("node", 1, 1), ("service", 1, 0), ("service", 0, 1)):
            whole = uri(other, "x")
            there = [listed(other, "x")] * new + [listed("container", "b", "Running", whole)]
            result = found([known(other, "x")] * old + [known("container", "a", "Running", whole)], there)
            self.assertEqual(result.redeployed, (), "only a service that stayed can be")

    @given(
        st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["Running", "Stopped", "Terminated"])),
        st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["Running", "Stopped", "Terminated"])),
        st.booleans(),
    )
    def test_leaves_nothing_to_be_found_by_the_next(
        self, before: dict[str, str], now: dict[str, str], first: bool
    ) -> None:
        states = {uri("container", name): known("container", name, state) for name, state in before.items()}
        there = Inventory(
            {uri("container", name): listed("container", name, state) for name, state in now.items()}, ALL
        )
        result = compare(states, there, (), 9.0, first)
        for change in result.changes:
            if change.action == "delete":
                del states[change.now.uri]
            else:
                states[change.now.uri] = change.now
        states |= {each.uri: each for each in result.learned}
        self.assertEqual(
            {each.uri: each.state for each in states.values() if each.state != "Terminated"},
            {each.uri: each.state for each in there.objects.values() if each.state != "Terminated"},
        )
        self.assertEqual(compare(states, there, (), 9.0, False), Findings())
        self.assertEqual(missing(states, there, ()), [])


class TheWords(SynchronousTestCase):
    def test_say_how_long(self) -> None:
        for seconds, words in (
            (0.2, "1 s"),
            (42.0, "42 s"),
            (60.0, "1 min"),
            (185.0, "3 min 5 s"),
            (7801.0, "2 h 10 min"),
            (4 * 86400 + 3 * 3600, "4 d 3 h"),
        ):
            self.assertEqual(duration(seconds), words)

    def test_count_and_name(self) -> None:
        changes = [
            *(Change("update", known("container", str(n), "Stopped")) for n in range(2)),
            Change("update", known("nodecluster", "k", "Scaling")),
            Change("create", known("service", "s")),
            Change("update", known("stack", "s", "Partly running")),
            Change("delete", known("node", "n")),
            *(
                Change("update", known("container", what), DockerDetails(event=what))
                for what in ("healthy", "unhealthy")
            ),
        ]
        self.assertEqual(
            summary(61.0, Findings(tuple(changes)), {}),
            "1 min 1 s without a stream: 2 containers stopped, 1 container healthy, 1 container unhealthy, "
            "1 service created, 1 stack partly running, 1 node deleted, 1 node cluster scaling",
        )

    def test_stay_short_and_harmless_whatever_the_states_are(self) -> None:
        changes = [Change("update", known("container", str(n), f"{n}\n" + "x" * 1000)) for n in range(MOST + 5)]
        words = summary(1.0, Findings(tuple(changes)), {})
        self.assertTrue(words.endswith(", 5 more changes"))
        self.assertLess(len(words), 1000)
        self.assertNotIn("\n", words)
        self.assertNotIn("more", summary(1.0, Findings(tuple(changes[:MOST])), {}))

    def test_count_once_what_the_server_told_late_and_what_became_of_it_since(self) -> None:
        change = Change("update", known("container", "a", "Stopped"))
        late = Event(id="e", received_at=1.0, type="container", action="update", state="Running")
        words = summary(1.0, Findings((change,)), {change.now.uri: late, "another": late})
        self.assertEqual(words, "1 s without a stream: 1 container stopped, 1 container running")

    def test_stay_so_whatever_the_server_says_became_of_something(self) -> None:
        late = Event(id="e", received_at=1.0, type="node", action="\n" + "x" * 1000, resource_uri="n")
        words = summary(1.0, Findings(), {"n": late})
        self.assertLess(len(words), 100)
        self.assertNotIn("\n", words)
