"""A restart of the gateway: what is kept of a registry, and what is told of the time in between."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import (
    CORPUS,
    ENDPOINT,
    NODE,
    SECOND,
    START,
    STORY,
    Told,
    Truth,
    capture,
    compose,
    container,
    container_id,
    event,
    replayed,
    story,
)
from tests.searching import searching
from tutumstream.gateway.docker import folds
from tutumstream.gateway.docker.checks import CHECKS
from tutumstream.gateway.docker.facts import Options
from tutumstream.gateway.docker.memory import EngineMemory
from tutumstream.gateway.docker.resources import list_resources
from tutumstream.gateway.docker.swarm.facts import Machine, Ordered, Swarm, Update
from tutumstream.gateway.platform import Change
from tutumstream.gateway.saving import Row

HOST = "unix:///var/run/docker.sock"
LATER = START + 1000.0
KINDS = ("container", "service", "stack", "node", "nodecluster", "action")


def memory(told: Told, host: str = HOST, now: float = LATER) -> EngineMemory:
    return EngineMemory(ENDPOINT, host, told.registry, lambda: now)


def kept(told: Told) -> dict[Row, bytes]:
    """The registry as it is written down."""
    own = memory(told)
    own.begun = True
    rows = own.rows()
    assert rows is not None
    return {row: own.written(value) for row, value in rows.items()}


def values(told: Told) -> dict[Row, Any]:
    return {row: msgspec.json.decode(value) for row, value in kept(told).items()}


def restarted(before: Told, now: float = LATER) -> Told:
    """A new gateway over the same engine."""
    after = Told(before.truth)
    own = memory(after, now=now)
    own.understand(kept(before))()
    assert own.begun
    return after


def first_looked(*lines: bytes) -> Told:
    told = Told()
    told.replay(iter(lines))
    told.changes.clear()
    return told


def ran(number: int, name: str, **labels: str) -> list[bytes]:
    return [
        event("create", number, START + number, name=name, **labels),
        event("start", number, START + number + 0.5, name=name, **labels),
    ]


class RestartTests(SynchronousTestCase):
    def test_what_has_not_changed_is_no_news(self) -> None:
        before = first_looked(*ran(1, "web", **compose("web")), *ran(2, "db"), event("die", 2, START + 5, exitCode="1"))
        before.resync(START + 6)
        after = restarted(before)
        after.resync(LATER)
        self.assertEqual(after.lines(), [])
        for kind in ("container", "service", "stack"):
            self.assertEqual(list_resources(after.registry, kind), list_resources(before.registry, kind), kind)
        (node,), (known,) = (list_resources(one.registry, "node") for one in (after, before))
        self.assertEqual({**node, "last_seen": ""}, {**known, "last_seen": ""})

    def test_what_stopped_started_came_and_went_meanwhile_is_told_once_and_in_order(self) -> None:
        lines = [line for n, name in enumerate(("same", "stops", "goes", "starts"), 1) for line in ran(n, name)]
        before = first_looked(*lines, event("die", 4, START + 6, name="starts", exitCode="0"))
        truth = before.truth
        truth.apply(event("die", 2, START + 20, name="stops", exitCode="3"))
        truth.apply(event("destroy", 3, START + 21, name="goes"))
        truth.apply(event("start", 4, START + 22, name="starts"))
        for line in ran(5, "new"):
            truth.apply(line)
        after = restarted(before)
        after.resync(LATER)
        self.assertEqual(
            sorted(after.lines(), key=lambda line: line.split()[3]),
            [
                "container delete Terminated goes",
                "service delete Terminated goes",
                "service create Starting new",
                "container create Starting new",
                "container update Running new",
                "service update Running new",
                "container update Running starts",
                "service update Running starts",
                "container update Stopped stops",
                "service update Stopped stops",
            ],
        )
        (stopped,) = [one.docker for one in after.changes if one.state == folds.STOPPED and one.type == "container"]
        assert stopped is not None
        self.assertEqual((stopped.event, stopped.exit_code, stopped.news), ("crash", 3, True))
        after.changes.clear()
        after.resync(LATER + 1)
        self.assertEqual(after.lines(), [])

    def test_who_was_stopped_before_did_not_crash_meanwhile(self) -> None:
        before = first_looked(*ran(1, "web"), event("kill", 1, START + 10, signal="15"))
        before.truth.apply(event("die", 1, START + 20, exitCode="143"))
        after = restarted(before, START + 30)
        after.resync(START + 30)
        self.assertEqual(after.lines("container"), ["container update Stopped web"])
        self.assertEqual((after.news(), after.happened()), ([], ["stop"]))

    def test_a_run_that_was_only_heard_of_goes_on(self) -> None:
        create, start = ran(1, "web")
        before = first_looked(create)
        before.hear(start, look=False)
        before.truth.apply(start)
        self.assertEqual(before.take("container"), ["container update Running web"])
        after = restarted(before)
        after.resync(LATER)
        self.assertEqual(after.lines(), [])

    def test_a_restart_in_between_is_an_end_and_a_beginning(self) -> None:
        before = first_looked(*ran(1, "web"))
        before.truth.apply(event("die", 1, START + 20, exitCode="1"))
        before.truth.apply(event("start", 1, START + 21))
        after = restarted(before)
        after.resync(LATER)
        self.assertEqual(after.lines("container"), ["container update Stopped web", "container update Running web"])

    def test_a_stack_that_is_gone_is_told_as_gone(self) -> None:
        before = first_looked(*ran(1, "web", **compose("web")))
        before.truth.apply(event("destroy", 1, START + 20))
        after = restarted(before)
        after.resync(LATER)
        self.assertEqual(
            after.lines(),
            ["container delete Terminated web", "service delete Terminated web", "stack delete Terminated shop"],
        )

    def test_what_is_gone_is_shown_for_a_while_as_before(self) -> None:
        before = first_looked(*ran(1, "web"), event("die", 1, START + 5, exitCode="7"), event("destroy", 1, START + 6))
        after = restarted(before)
        after.resync(LATER)
        self.assertEqual(after.lines(), [])
        (shown,) = list_resources(after.registry, "container")
        self.assertEqual((shown["state"], shown["exit_code"]), ("Terminated", 7))
        after.registry.purge(START + 6 + 3601)
        self.assertEqual(list_resources(after.registry, "container"), [])
        self.assertEqual(list_resources(after.registry, "service"), [])

    def test_a_crash_loop_goes_on_and_is_not_told_as_a_new_one(self) -> None:
        before = first_looked(*ran(1, "web"))
        before.truth.restarts["web"] = 99
        before.replay(iter([event("update", 1, START + 9.0)]))
        for again in range(3):
            before.replay(iter([event("die", 1, START + 10.0 + again, exitCode="1")]))
            before.replay(iter([event("start", 1, START + 10.5 + again)]))
        self.assertEqual(len(before.news()), 2)
        after = restarted(before, START + 14)
        after.truth.restarts["web"] = 99
        after.replay(iter([event("die", 1, START + 15, exitCode="1"), event("start", 1, START + 15.5)]))
        self.assertEqual(after.news(), [])
        for due in after.registry.overdue(START + 1000):
            after.look(due, START + 1000)
        self.assertEqual(after.happened()[-1:], ["recovery"])
        self.assertEqual(len(after.news()), 1)

    def test_who_was_neither_here_nor_there_is_looked_at_again(self) -> None:
        before = first_looked(event("create", 1, START + 1))
        after = restarted(before, START + 2)
        self.assertEqual(after.registry.overdue(START + 1.9 + CHECKS[0]), [])
        self.assertEqual(after.registry.overdue(START + 2 + CHECKS[0]), [container_id(1)])
        stopping = restarted(first_looked(*ran(1, "web"), event("kill", 1, START + 5, signal="15")), START + 6)
        self.assertEqual(stopping.registry.overdue(START + 24), [])
        self.assertEqual(stopping.registry.overdue(START + 26), [container_id(1)])

    def test_an_engine_that_was_lost_is_told_when_it_is_back(self) -> None:
        before = first_looked(*ran(1, "web"))
        list(before.registry.nodes.reach(folds.UNREACHABLE))
        after = restarted(before)
        back = after.registry.nodes.reach(folds.DEPLOYED)
        self.assertEqual([f"{one.type} {one.state}" for one in back], ["node Deployed"])

    def test_every_capture_goes_on_in_the_middle_as_if_nothing_had_been(self) -> None:
        for path in sorted(CORPUS.glob("*.jsonl")):
            if path == STORY:
                continue
            lines = list(capture(path.name))
            with self.subTest(path.name):
                half = Told()
                half.replay(iter(lines[: len(lines) // 2]))
                after = restarted(half, START)
                after.replay(iter(lines[len(lines) // 2 :]))
                self.assertEqual([*half.changes, *after.changes], replayed(path.name).changes)


class SwarmRestartTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.before = Told()
        self.before.join()
        self.machines = (
            Machine(id=NODE, hostname="vm", state="ready"),
            Machine(id="w" * 25, hostname="w1", state="ready"),
        )
        self.service = Ordered(id="s" * 25, name="shop_web", stack="shop", replicas=0, created=START * SECOND)
        self.count(self.before, START + 1)
        self.before.changes.clear()

    def count(self, told: Told, at: float, *services: Ordered, machines: tuple[Machine, ...] = ()) -> None:
        told.count(Swarm(machines=machines or self.machines, services=services or (self.service,)), at)

    def test_a_swarm_that_has_not_changed_is_no_news(self) -> None:
        after = restarted(self.before)
        after.join(at=LATER)
        self.count(after, LATER)
        self.assertEqual(after.lines(), [])
        for kind in ("node", "nodecluster", "service", "stack"):
            self.assertEqual(len(list_resources(after.registry, kind)), len(list_resources(self.before.registry, kind)))

    def test_a_service_and_a_node_that_are_gone_are_told(self) -> None:
        after = restarted(self.before)
        after.join(at=LATER)
        after.count(Swarm(machines=self.machines[:1]), LATER)
        self.assertEqual(
            [line for line in after.lines() if "delete" in line],
            ["node delete Terminated w1", "service delete Terminated shop_web", "stack delete Terminated shop"],
        )

    def test_an_update_that_ended_meanwhile_ends_its_action(self) -> None:
        going = msgspec.structs.replace(self.service, update=Update(state="updating", started=(START + 5) * SECOND))
        self.count(self.before, START + 6, going)
        self.assertEqual(self.before.take("action"), ["action create In progress Service Redeploy"])
        after = restarted(self.before)
        after.join(at=LATER)
        over = msgspec.structs.replace(going, update=Update(state="completed", started=(START + 5) * SECOND))
        self.count(after, LATER, over)
        self.assertEqual(after.lines("action"), ["action update Success Service Redeploy"])

    def test_an_engine_that_left_its_swarm_is_another_node(self) -> None:
        after = restarted(self.before)
        after.changes += after.registry.describe_engine(
            msgspec.structs.replace(after.registry.node.engine, swarm=None), LATER
        )
        self.assertIn("nodecluster delete Terminated default", after.lines())
        self.assertIn("service delete Terminated shop_web", after.lines())
        self.assertEqual(after.lines("node")[-1], "node create Deployed test")

    def test_a_node_that_nobody_knew_about_may_be_unknown_for_a_while_again(self) -> None:
        doubtful = (self.machines[0], msgspec.structs.replace(self.machines[1], state="unknown"))
        self.count(self.before, START + 2, machines=doubtful)
        after = restarted(self.before)
        after.join(at=LATER)
        self.count(after, LATER, machines=doubtful)
        self.assertEqual(after.lines("node"), [])
        self.count(after, LATER + 6, machines=doubtful)
        self.assertEqual(after.lines("node"), ["node update Unreachable w1"])

    def test_the_story_goes_on_in_the_middle(self) -> None:
        whole = Told()
        whole.join()
        whole.replay_story()
        steps, told = story(), Told()
        told.join()
        changes: list[Change] = []
        for part in range(8):
            if part:
                told = restarted(told, START)
            told.replay_story(steps[len(steps) * part // 8 : len(steps) * (part + 1) // 8])
            changes += told.changes
            self.assertEqual(changes, whole.changes[: len(changes)], part)
        self.assertEqual(changes, whole.changes)


class KeptTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told = first_looked(*ran(1, "web", **compose("web")))
        self.rows = kept(self.told)

    def refused(self, rows: Mapping[Row, bytes]) -> str:
        with self.assertRaises(ValueError) as caught:
            memory(Told()).understand(rows)
        return str(caught.exception)

    def test_nothing_is_kept_before_the_first_look(self) -> None:
        self.assertIsNone(memory(self.told).rows())

    def test_what_is_only_a_description_is_not_kept(self) -> None:
        secret = "5ecret"
        seen = container(
            2,
            "db",
            labels={"password": secret, "exitCode": "0", **compose("db")},
            options=Options(run_command=f"db --password {secret}", entrypoint=secret, hostname=secret),
        )
        self.told.truth.containers[seen.id] = seen
        self.told.look(seen.id, LATER)
        ordered = Ordered(id="s" * 25, name="x", labels={"k": secret}, options=Options(run_command=secret))
        self.told.join()
        self.told.count(Swarm(machines=(Machine(id=NODE),), services=(ordered,)), LATER)
        text = b"".join(kept(self.told).values())
        self.assertNotIn(secret.encode(), text)
        self.assertIn(b"exitCode", text)

    def test_another_engine_of_the_same_name_starts_anew(self) -> None:
        other = Told()
        own = memory(other, host="tcp://elsewhere:2376")
        own.understand(self.rows)()
        self.assertFalse(own.begun)
        self.assertEqual(other.registry.containers, {})

    def test_a_ping_is_not_worth_a_write(self) -> None:
        own = memory(self.told)
        own.begun = True
        self.told.registry.nodes.seen_alive(LATER)
        before = own.rows()
        self.told.registry.nodes.seen_alive(LATER + 10)
        self.assertEqual(own.rows(), before)

    def test_what_can_not_be_understood_is_refused(self) -> None:
        service, stack, own = (
            next(row for row in self.rows if row[0] == kind) for kind in ("service", "stack", "container")
        )

        def without(row: Row) -> dict[Row, bytes]:
            return {each: value for each, value in self.rows.items() if each != row}

        self.assertIn("service of a container", self.refused(without(service)))
        self.assertIn("stack of a service", self.refused(without(stack)))
        self.assertIn("engine itself", self.refused(without(("own node", ""))))
        self.assertIn("nobody knows", self.refused({**self.rows, ("dragon", ""): b"{}"}))
        self.assertIn("container", self.refused({**without(own), ("container", "x"): self.rows[own]}))
        self.assertIn("ordered", self.refused({**self.rows, ("orders", "x"): b'{"state": "Running"}'}))
        self.refused({**self.rows, service: b"{"})
        self.refused({**self.rows, service: b"[]"})
        for kind in KINDS[:3]:
            row = next(each for each in self.rows if each[0] == kind)
            self.refused({**self.rows, row: self.rows[row].replace(b'"uuid"', b'"uu"')})


STEPS = st.lists(
    st.tuples(st.sampled_from(("create", "start", "die", "destroy", "kill", "rename")), st.integers(1, 3)), max_size=12
)


def lived(told: Told, steps: list[tuple[str, int]], begin: float, hear: Callable[[bytes], Any]) -> None:
    """Whatever of these steps an engine could take, a second apart."""
    for at, (action, number) in enumerate(steps):
        known = told.truth.containers.get(container_id(number))
        if (known is None) != (action == "create"):
            continue
        if (action == "start") == (known is not None and known.status == "running") and action in ("start", "die"):
            continue
        labels = compose("web") if number == 1 else {}
        more = {"die": {"exitCode": "1"}, "kill": {"signal": "15"}}.get(action, {})
        name = f"c{number}" if action != "rename" else f"r{number}-{at}"
        line = event(action, number, begin + at, name=name, **labels, **more)
        told.truth.apply(line)
        hear(line)


@given(STEPS, STEPS, STEPS)
@searching(4)
def test_a_restart_is_a_gap_like_any_other(
    seen: list[tuple[str, int]], missed: list[tuple[str, int]], after: list[tuple[str, int]]
) -> None:
    """A gateway that was restarted tells the same as one that only heard nothing for a while."""
    told = Told(Truth())
    lived(told, seen, START + 1, told.hear)
    told.changes.clear()
    lived(told, missed, START + 100, lambda _: None)
    again = restarted(told, START + 200)
    assert again.changes == []
    told.resync(START + 200)
    again.resync(START + 200)
    assert again.changes == told.changes
    lived(told, after, START + 300, lambda line: (told.hear(line), again.hear(line)))
    assert again.changes == told.changes
    assert values(again) == values(told)
