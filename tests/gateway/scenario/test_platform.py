"""The whole scenario: what it promises of its events, its resources and their agreement."""

import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tutumstream.event import Event, decode
from tutumstream.gateway.events import encode
from tutumstream.gateway.platform import KINDS, Change, ILogReader, ILogs, LogLine, Order, OrderError
from tutumstream.gateway.scenario import ScenarioPlatform

RESOURCES = Path(__file__).parent.parent.parent / "corpus" / "tutum" / "resources"
UUID = re.compile(r"[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89ab][a-f0-9]{3}-[a-f0-9]{12}")
DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000")
PARENTS = {
    "stack": [],
    "nodecluster": [],
    "service": ["stack"],
    "node": ["nodecluster"],
    "container": ["service", "node", "stack", "nodecluster"],
}
# Protocol B3: the SDK's objects break over these.
FORBIDDEN = set(
    """
    pk is_dirty logs start stop redeploy scale delete save refresh deploy cancel retry export execute fetch list create
    endpoint
    """.split()  # noqa: SIM905 - twenty quoted words are harder to read
)
# Protocol B5: what the official CLI fails without.
NOT_NULL = {
    "stack": "uuid name state resource_uri deployed_datetime",
    "service": "uuid name state resource_uri stack image_name public_dns synchronized current_num_containers",
    "container": "uuid name state resource_uri node service container_ports image_name run_command public_dns",
    "node": "uuid resource_uri external_fqdn last_seen state node_cluster docker_version public_ip",
    "nodecluster": "uuid name node_type region deployed_datetime state current_num_nodes target_num_nodes",
    "action": "uuid action start_date object ip location state",
}


ROUND = 150
"""Seconds that a round of the story takes, at most."""


class Watcher:
    """Follows a scenario on a fake clock."""

    def __init__(self, seed: int = 7) -> None:
        self.clock = Clock()
        self.platform = ScenarioPlatform(self.clock, Random(seed))
        self.told: list[tuple[float, Change]] = []
        self.interruptions: list[float] = []
        self.platform.on_interrupt = lambda: self.interruptions.append(self.clock.seconds())
        self.platform.subscribe(lambda change: self.told.append((self.clock.seconds(), change)))

    def run(self, seconds: float) -> None:
        """Let time pass, from call to call, as a reactor does."""
        end = self.clock.seconds() + seconds
        while (calls := self.clock.getDelayedCalls()) and calls[0].getTime() <= end:
            self.clock.advance(calls[0].getTime() - self.clock.seconds())
        self.clock.advance(end - self.clock.seconds())


@cache
def some_rounds() -> Watcher:
    """What was seen of them, for tests that only look."""
    watcher = Watcher()
    watcher.platform.start()
    watcher.run(4 * ROUND)
    return watcher


def key(uri: str) -> tuple[str, str]:
    kind, uuid = uri.strip("/").split("/")[-2:]
    return kind, uuid


class TestPace(SynchronousTestCase):
    def test_the_first_change_comes_within_2_seconds_and_then_one_every_few_seconds(self) -> None:
        for seed in range(2):
            watcher = Watcher(seed)
            watcher.platform.start()
            watcher.run(2 * ROUND)
            times = [0.0, *(when for when, _ in watcher.told)]
            self.assertLessEqual(times[1], 2.0)
            self.assertLessEqual(max(after - before for before, after in pairwise(times)), 9.0)

    def test_the_first_minute_has_every_kind_of_event_and_one_interruption(self) -> None:
        for seed in range(3):
            watcher = Watcher(seed)
            watcher.platform.start()
            watcher.run(60)
            told = {(change.type, change.action) for _, change in watcher.told}
            for kind in ("container", "service", "stack", "action"):
                self.assertLessEqual({(kind, "create"), (kind, "update")}, told, kind)
            self.assertLessEqual({("node", "update"), ("nodecluster", "update")}, told)
            self.assertEqual(len(watcher.interruptions), 1)

    def test_a_client_that_is_back_5_seconds_after_an_interruption_misses_nothing(self) -> None:
        watcher = some_rounds()
        self.assertGreater(len(watcher.interruptions), 2)
        for lost in watcher.interruptions:
            self.assertEqual([when for when, _ in watcher.told if lost < when < lost + 4.9], [])

    def test_every_incident_of_the_day_happens(self) -> None:
        watcher = some_rounds()
        states = {(change.type, change.state) for _, change in watcher.told}
        self.assertLessEqual(
            {
                ("service", "Scaling"),
                ("service", "Redeploying"),
                ("service", "Partly running"),
                ("container", "Stopped"),
                ("node", "Unreachable"),
                ("node", "Upgrading"),
                ("nodecluster", "Partly deployed"),
                ("stack", "Terminated"),
                ("action", "Failed"),
            },
            states,
        )


class TestAgreement(SynchronousTestCase):
    def test_every_event_agrees_with_the_resources_at_its_moment(self) -> None:
        watcher = Watcher()
        platform = watcher.platform
        known: dict[tuple[str, str], str] = {}

        def check(change: Change) -> None:
            kind, uuid = key(change.resource_uri)
            self.assertEqual(kind, change.type)
            self.assert_parents(change, platform)
            resource = platform.get(kind, uuid)
            if change.action == "delete":
                self.assertIsNone(resource)
                self.assertEqual(known.pop((kind, uuid)), "Terminated")
                return
            assert resource is not None
            self.assertEqual(resource["state"], change.state)
            # Only the machines were there before the story began.
            new = (kind, uuid) not in known and kind not in ("node", "nodecluster")
            self.assertEqual(change.action, "create" if new else "update")
            self.assertNotEqual(known.get((kind, uuid)), change.state)
            known[kind, uuid] = change.state

        platform.subscribe(check)
        platform.start()
        for _ in range(2 * ROUND // 5):
            watcher.run(5)
            self.assert_folds_hold(platform)
            for kind in KINDS:
                for resource in platform.list(kind):
                    self.assertEqual(known.get((kind, resource["uuid"]), "Deployed"), resource["state"])

    def test_nothing_piles_up_however_long_it_runs(self) -> None:
        watcher = Watcher()
        watcher.platform.start()
        # What grows shows in a few rounds.
        for _ in range(2):
            watcher.told.clear()
            watcher.run(2 * ROUND)
            self.assertGreater(len(watcher.told), 2 * ROUND / 9)
            self.assertLessEqual(sum(len(watcher.platform.list(kind)) for kind in KINDS), 60)
            self.assertEqual(len(watcher.clock.getDelayedCalls()), 1)
            self.assert_folds_hold(watcher.platform)

    def assert_parents(self, change: Change, platform: ScenarioPlatform) -> None:
        if change.type == "action":
            action = platform.get(*key(change.resource_uri))
            assert action is not None
            self.assertEqual(change.parents, (action["object"],))
        else:
            self.assertEqual([key(uri)[0] for uri in change.parents], PARENTS[change.type])
        for uri in change.parents:
            self.assertIsNotNone(platform.get(*key(uri)), uri)

    def assert_folds_hold(self, platform: ScenarioPlatform) -> None:
        live = [one for one in platform.list("container") if one["state"] != "Terminated"]
        for service in platform.list("service"):
            states = [one["state"] for one in live if one["service"] == service["resource_uri"]]
            self.assertEqual(service["current_num_containers"], len(states))
            self.assertEqual(service["running_num_containers"], states.count("Running"))
            self.assertEqual(service["stopped_num_containers"], states.count("Stopped"))
            if service["state"] == "Running":
                self.assertEqual(set(states), {"Running"})
            if service["state"] == "Partly running":
                self.assertIn("Running", states)
                self.assertGreater(len(set(states)), 1)
            if service["state"] == "Stopped":
                self.assertEqual(set(states), {"Stopped"})
        for stack in platform.list("stack"):
            states = [platform.get(*key(uri))["state"] for uri in stack["services"]]  # type: ignore[index]  # is there
            if stack["state"] == "Running":
                self.assertLessEqual(set(states), {"Running", "Scaling", "Redeploying"})
        for cluster in platform.list("nodecluster"):
            states = [one["state"] for one in platform.list("node")]
            self.assertEqual(cluster["state"] == "Deployed", set(states) == {"Deployed"})
        for node in platform.list("node"):
            self.assertEqual(node["current_num_containers"], sum(one["node"] == node["resource_uri"] for one in live))


class TestControl(SynchronousTestCase):
    def test_whoever_watches_is_told_of_the_start_and_there_is_never_any_trouble(self) -> None:
        platform, noticed = Watcher().platform, list[bool]()
        platform.watch(lambda: noticed.append(platform.synced))
        self.assertEqual(noticed, [])
        platform.start()
        self.assertEqual((noticed, platform.troubles()), ([True], ()))

    def test_nobody_changes_the_story(self) -> None:
        platform = Watcher().platform
        platform.start()
        refused = self.failureResultOf(platform.perform(Order(verb="stop", kind="service", uuid="x")), OrderError)
        self.assertEqual(refused.value.status, 405)


@implementer(ILogReader)
class Reader:
    """Keeps the lines that it is given."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []
        self.over = False

    def line(self, line: LogLine) -> None:
        self.lines.append(line)

    def ended(self) -> None:
        self.over = True


class TestLogs(SynchronousTestCase):
    def setUp(self) -> None:
        self.watcher = Watcher()
        self.watcher.platform.start()
        self.reader = Reader()

    def await_state(self, state: str) -> str:
        """Let time pass until a container is in this state, and name it."""
        while True:
            for one in self.watcher.platform.list("container"):
                if one["state"] == state:
                    return str(one["uuid"])
            self.watcher.run(0.5)

    def read(self, kind: str, uuid: str, tail: int = 5, follow: bool = False) -> ILogs:
        logs = self.watcher.platform.logs(kind, uuid, tail, follow, self.reader)
        assert logs is not None
        return logs

    def test_are_of_containers_and_services_only(self) -> None:
        (node, *_) = self.watcher.platform.list("node")
        for kind, uuid in (("node", node["uuid"]), ("container", "nobody")):
            self.assertIsNone(self.watcher.platform.logs(kind, uuid, 5, False, self.reader))

    def test_are_the_last_lines_in_order_and_then_end(self) -> None:
        uuid = self.await_state("Running")
        self.watcher.run(6)
        self.read("container", uuid, tail=2)
        times = [line.timestamp for line in self.reader.lines]
        self.assertEqual((len(times), times), (2, sorted(times)))
        self.assertTrue(self.reader.over)

    def test_of_a_service_are_those_of_all_its_containers(self) -> None:
        self.watcher.run(45)
        (web,) = [one for one in self.watcher.platform.list("service") if one["current_num_containers"] > 1][:1]
        self.read("service", web["uuid"], tail=100)
        self.assertGreater(len({line.source for line in self.reader.lines}), 1)

    def test_go_on_while_they_are_followed_until_they_are_closed(self) -> None:
        uuid = self.await_state("Running")
        logs = self.read("container", uuid, tail=0, follow=True)
        self.assertEqual(self.reader.lines, [])
        self.watcher.run(6)
        self.assertEqual(len(self.reader.lines), 3)
        self.assertFalse(self.reader.over)
        logs.close()
        logs.close()
        self.watcher.run(6)
        self.assertEqual(len(self.reader.lines), 3)

    def test_are_empty_before_the_start_and_end_with_the_container(self) -> None:
        uuid = self.await_state("Starting")
        logs = self.read("container", uuid, follow=True)
        self.assertEqual(self.reader.lines, [])
        while (one := self.watcher.platform.get("container", uuid)) and one["state"] != "Terminated":
            self.watcher.run(1)
        self.watcher.run(4)
        told = len(self.reader.lines)
        self.assertGreater(told, 0)
        # It is forgotten in the end, and the reading goes on in silence.
        while self.watcher.platform.get("container", uuid):
            self.watcher.run(5)
        self.watcher.run(10)
        self.assertEqual((len(self.reader.lines), self.reader.over), (told, False))
        logs.close()


class TestShapes(SynchronousTestCase):
    @staticmethod
    @cache
    def each() -> list[tuple[str, Any]]:
        """Every resource at many moments of the story, once for each state that it has."""
        watcher = Watcher()
        watcher.platform.start()
        seen: dict[tuple[str, str, str], Any] = {}
        for _ in range(2 * ROUND // 7):
            watcher.run(7)
            for kind in KINDS:
                for one in watcher.platform.list(kind):
                    seen[kind, one["uuid"], one["state"]] = one
        return [(kind, one) for (kind, _, _), one in seen.items()]

    def test_every_resource_has_the_fields_of_tutums_and_none_of_the_forbidden(self) -> None:
        samples = {kind: json.loads((RESOURCES / f"{kind}.json").read_text())["objects"][0] for kind in KINDS}
        for kind, one in self.each():
            sample = samples[kind]
            self.assertEqual(set(sample) - set(one), set(), kind)
            self.assertEqual(FORBIDDEN & set(one), set(), kind)
            for name in NOT_NULL[kind].split():
                self.assertIsNotNone(one[name], (kind, name))
            self.assertTrue(UUID.fullmatch(one["uuid"]), one["uuid"])
            self.assertEqual(one["resource_uri"], f"/api/v1/{kind}/{one['uuid']}/")
            for name in one:
                if name.endswith(("_datetime", "_date")) and one[name] is not None:
                    self.assertTrue(DATE.fullmatch(one[name]), (name, one[name]))
            json.dumps(one)

    def test_ports_links_and_numbers_have_the_types_that_clients_expect(self) -> None:
        for kind, one in self.each():
            for port in one.get("container_ports", []):
                self.assertEqual(
                    (type(port["inner_port"]), port["protocol"], type(port["published"])), (int, "tcp", bool)
                )
                self.assertEqual(port["outer_port"] is not None, port["published"])
            if kind == "container":
                for link in one["linked_to_container"]:
                    self.assertEqual(link["from_container"], one["resource_uri"])
                    self.assertRegex(next(iter(link["endpoints"].values())), r"^tcp://10\.7\.\d+\.\d+:\d+$")

    def test_everything_that_a_resource_names_can_be_fetched(self) -> None:
        watcher = Watcher()
        platform = watcher.platform
        platform.start()
        for _ in range(2 * ROUND // 9):
            watcher.run(9)
            for kind in ("stack", "service", "container", "node", "nodecluster"):
                for one in platform.list(kind):
                    uris = [
                        one.get(name) for name in ("stack", "service", "node", "node_cluster", "region", "node_type")
                    ]
                    links = one.get("linked_to_service", [])
                    uris += one.get("services", []) + one.get("containers", []) + one.get("nodes", [])
                    uris += [link["to_service"] for link in links]
                    for uri in filter(None, uris):
                        _, _, parent, name = uri.strip("/").split("/", 3)
                        self.assertIsNotNone(platform.get(parent, name), (kind, uri))

    def test_events_can_be_decoded_by_our_own_client(self) -> None:
        watcher = Watcher()
        watcher.platform.start()
        watcher.run(600)
        for _, change in watcher.told:
            self.assertIsInstance(decode(encode(change), 0.0), Event)

    def test_unknown_kinds_and_objects_are_not_there(self) -> None:
        platform = Watcher().platform
        self.assertEqual(platform.list("volume"), [])
        self.assertIsNone(platform.get("volume", "x"))
        self.assertEqual([one["name"] for one in platform.list("nodetype")], ["small"])


class TestStartAndStop(SynchronousTestCase):
    def test_the_same_seed_tells_the_same_story_and_another_seed_another(self) -> None:
        stories = []
        for seed in (1, 1, 2):
            watcher = Watcher(seed)
            watcher.platform.start()
            watcher.run(300)
            stories.append(watcher.told)
        self.assertEqual(stories[0], stories[1])
        self.assertNotEqual(stories[0], stories[2])

    def test_it_is_synced_once_started(self) -> None:
        platform = Watcher().platform
        self.assertFalse(platform.synced)
        self.successResultOf(platform.start())
        self.assertTrue(platform.synced)

    def test_it_rests_while_stopped_and_goes_on_after(self) -> None:
        watcher = Watcher()
        self.successResultOf(watcher.platform.stop())
        watcher.platform.start()
        watcher.platform.start()
        watcher.run(20)
        self.successResultOf(watcher.platform.stop())
        before = len(watcher.told)
        self.assertEqual(watcher.clock.getDelayedCalls(), [])
        watcher.platform.start()
        watcher.run(20)
        self.assertGreater(len(watcher.told), before)

    def test_who_unsubscribes_hears_no_more(self) -> None:
        watcher = Watcher()
        heard: list[Change] = []
        leave = watcher.platform.subscribe(heard.append)
        leave()
        leave()
        watcher.platform.start()
        watcher.run(20)
        self.assertEqual(heard, [])

    def test_without_anybody_to_interrupt_the_story_goes_on(self) -> None:
        clock = Clock()
        platform = ScenarioPlatform(clock, Random(1))
        platform.start()
        clock.pump([1.0] * 60)
        self.assertEqual(len(clock.getDelayedCalls()), 1)
