from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import (
    SECOND,
    START,
    Told,
    Truth,
    capture,
    compose,
    container,
    container_id,
    event,
    replayed,
)
from tests.searching import searching
from tutumstream.gateway.docker.checks import CHECKS
from tutumstream.gateway.docker.facts import Container, Engine, Options
from tutumstream.gateway.docker.folds import container_state
from tutumstream.gateway.docker.gone import TERMINATED_AGE
from tutumstream.gateway.docker.registry import HEARSAY, LEISURE
from tutumstream.gateway.docker.runs import moment


def told_of(name: str, *kinds: str, truth: Truth | None = None) -> list[str]:
    told = Told(truth)
    told.replay(capture(name))
    return told.lines(*kinds)


class CapturesTests(SynchronousTestCase):
    """Real streams, with the truth that went with them."""

    def test_run_stop_start_restart_and_forced_removal(self) -> None:
        self.assertEqual(
            told_of("01-run-stop-rm.jsonl"),
            [
                "service create Starting web",
                "container create Starting web",
                "container update Running web",
                "service update Running web",
                *self.stopped("web"),
                "container update Running web",
                "service update Running web",
                *self.stopped("web"),
                "container update Running web",
                "service update Running web",
                "action create Success Container Restart",
                *self.stopped("web"),
                "container delete Terminated web",
                "service delete Terminated web",
            ],
        )

    def stopped(self, name: str) -> list[str]:
        return [
            f"{kind} update {state} {name}" for state in ("Stopping", "Stopped") for kind in ("container", "service")
        ]

    def test_a_signal_that_the_process_ignores_ends_nothing(self) -> None:
        told = Told()
        lines = list(capture("02-kill.jsonl"))
        ignored = next(n for n, line in enumerate(lines) if b'"signal":"1"' in line)
        told.replay(iter(lines[: ignored + 1]))
        self.assertEqual(told.lines("container")[-2:], ["container update Running k9", "container update Stopping k9"])
        now = told.registry.overdue(1e12)
        self.assertEqual(len(now), 1)
        told.changes.clear()
        told.look(now[0], 1e12)
        self.assertEqual(told.lines(), ["container update Running k9", "service update Running k9"])

    def test_exit_codes_come_from_inspect(self) -> None:
        told = Told()
        told.replay(capture("03-die-nonzero-and-zero.jsonl"))
        codes = {known.container.name: known.container.exit_code for known in told.registry.containers.values()}
        self.assertEqual(codes, {"ex0": 0, "ex3": 3, "ex127": 127, "exrm": 5})

    def test_a_container_that_fails_to_start_does_not_stay_starting(self) -> None:
        self.assertEqual(
            told_of("05-failed-start-inspect.jsonl", "container")[:2],
            ["container create Starting bad", "container update Stopped bad"],
        )

    def test_memory_shortage_is_a_death_only_where_the_container_dies(self) -> None:
        lines = told_of("04-oom.jsonl", "container")
        self.assertEqual(lines.count("container update Stopped oomchild"), 1)
        self.assertEqual(lines[-2:], ["container delete Terminated oomchild", "container delete Terminated oom"])

    def test_probes_tell_nothing_and_each_change_of_health_is_told_once(self) -> None:
        told = Told()
        told.replay(capture("06-health.jsonl"))
        first = [event for event in told.happened() if event.endswith("healthy")]
        self.assertEqual(first, ["healthy", "unhealthy", "healthy", "healthy", "unhealthy"])
        self.assertEqual(
            told.news(),
            ["hlt on test is unhealthy", "hlt on test is healthy again", "hst on test is unhealthy"],
        )

    def test_a_crash_loop_is_told_crash_by_crash(self) -> None:
        lines = [line for line in told_of("07-restart-policy.jsonl", "container") if line.endswith(" r3")]
        crash = ["container update Running r3", "container update Stopped r3"]
        self.assertEqual(lines, ["container create Starting r3", *crash * 4, "container delete Terminated r3"])

    def test_pause_commit_update_and_exec_change_nothing_and_a_rename_moves_the_service(self) -> None:
        self.assertEqual(
            told_of("08-rename-pause-update-exec.jsonl")[:9],
            [
                "stack create Starting p",
                "service create Starting a1",
                "container create Starting a2",
                "container update Running a2",
                "service update Running a1",
                "stack update Running p",
                "service create Running a2",
                "container update Running a2",
                "service delete Terminated a1",
            ],
        )

    def test_the_steps_of_a_build_are_nobodys_containers(self) -> None:
        told = Told()
        told.replay(capture("09-images-volumes-networks.jsonl"))
        self.assertEqual({known.container.image for known in told.registry.containers.values()}, {"busybox"})

    def test_compose_is_one_stack_from_up_to_down(self) -> None:
        lines = told_of("10-compose-v1.jsonl", "stack", "service")
        self.assertEqual(lines[:2], ["stack create Starting shop", "service create Starting web"])
        self.assertEqual(
            [line for line in lines if "update" not in line],
            [
                "stack create Starting shop",
                "service create Starting web",
                "service create Starting worker",
                "service delete Terminated web",
                "service delete Terminated worker",
                "stack delete Terminated shop",
            ],
        )
        self.assertEqual(lines.count("service update Redeploying web"), 1)
        redeploying = lines.index("service update Redeploying web")
        self.assertEqual(
            lines[redeploying : redeploying + 4],
            [
                "service update Redeploying web",
                "stack update Redeploying shop",
                "service update Running web",
                "stack update Running shop",
            ],
        )

    def test_an_exchange_by_compose_is_an_action_with_an_outcome(self) -> None:
        told = Told()
        told.replay(capture("10-compose-v1.jsonl"))
        actions = told.lines("action")
        self.assertEqual(
            actions[:2], ["action create In progress Service Redeploy", "action update Success Service Redeploy"]
        )

    def test_an_exchange_of_all_succeeds_though_one_of_the_old_was_stopped(self) -> None:
        lines = told_of("32-compose-v2-exchange.jsonl", "service", "action")
        self.assertEqual(
            lines[lines.index("service update Redeploying web") :],
            [
                "service update Redeploying web",
                "action create In progress Service Redeploy",
                "service update Partly running web",
                "action update Success Service Redeploy",
                "service update Redeploying web",
                "action create In progress Service Redeploy",
                # The old one is gone, the new one has not got its name yet.
                "service update Running web",
                "service update Starting web",
                "action update Success Service Redeploy",
                "service update Running web",
            ],
        )

    def test_compose_run_is_a_service_of_its_own(self) -> None:
        lines = told_of("11-compose-oneoff.jsonl", "service")
        self.assertEqual(lines[0], "service create Starting shop_web_run_ba1856ce0758")

    def test_a_graceful_restart_of_the_daemon_deletes_nothing_but_what_was_removed(self) -> None:
        truth = Truth()
        for number, name in ((1, "keep"), (2, "nokeep"), (3, "ssvc.1.lo7098fc0cw2kmct08ujhbiwk")):
            truth.containers[container_id(number)] = container(number, name)
        names = {"4005630e": 1, "f76e49a0": 2, "2a0e86aa": 3}
        told = Told(truth)
        told.resync(START)
        told.changes.clear()
        lines = []
        for line in capture("18-daemon-graceful-restart.jsonl"):
            text = line.decode()
            for start in names:
                own = next((word for word in text.split('"') if word.startswith(start) and len(word) == 64), None)
                text = text.replace(own, container_id(names[start])) if own else text
            lines.append(text.encode())
        told.replay(iter(lines))
        deleted = [line for line in told.lines("container") if "delete" in line]
        self.assertEqual(deleted, ["container delete Terminated ssvc.1.lo7098fc0cw2kmct08ujhbiwk"])
        kept = [line for line in told.lines("container") if line.endswith(" keep")]
        states = ["Stopping", "Stopped", "Running"]
        self.assertEqual(kept, [f"container update {state} keep" for state in states])

    def test_a_replay_with_stale_events_deletes_nothing(self) -> None:
        told = Told()
        told.truth.containers[container_id(1)] = container(1, "alive")
        told.resync(START)
        for line in capture("20-buffer-after-sigkill-restart-since0.jsonl"):
            told.hear(line)
        told.resync(1e10)
        self.assertNotIn("container delete Terminated alive", told.lines())
        self.assertEqual(told.registry.alive(), [container_id(1)])

    def test_a_label_can_not_forge_an_exit_code(self) -> None:
        truth = Truth()
        own = next(word for word in next(capture("21-label-collisions.jsonl")).decode().split('"') if len(word) == 64)
        truth.real_exit_codes[own] = 5
        told = Told(truth)
        told.replay(capture("21-label-collisions.jsonl"))
        self.assertEqual(told.registry.containers[own].container.exit_code, 5)

    def test_podmans_words_mean_the_same(self) -> None:
        lines = told_of("23-podman-compat.jsonl", "container")
        self.assertEqual(
            [line for line in lines if line.endswith(" p3")],
            [
                "container create Starting p3",
                "container update Running p3",
                "container update Stopped p3",
                "container delete Terminated p3",
            ],
        )

    def test_no_stop_of_any_kind_is_a_crash(self) -> None:
        for name in ("01-run-stop-rm", "02-kill", "18-daemon-graceful-restart"):
            told = Told()
            told.replay(capture(f"{name}.jsonl"))
            self.assertEqual(told.news(), [])
            self.assertNotIn("crash", told.happened())

    def test_an_exit_with_a_code_is_a_crash_and_one_with_0_is_not(self) -> None:
        told = Told()
        told.replay(capture("03-die-nonzero-and-zero.jsonl"))
        self.assertEqual(
            told.news(),
            [
                "ex3 on test crashed: exit 3",
                "ex127 on test could not be started: exec: not found",
                "exrm on test crashed: exit 5",
            ],
        )

    def test_a_death_for_want_of_memory_says_so_in_one_sentence(self) -> None:
        told = Told()
        told.replay(capture("04-oom.jsonl"))
        self.assertEqual(told.news(), ["oom on test crashed: exit 137, out of memory"])

    def test_memory_shortage_of_one_that_goes_on_is_told_by_itself(self) -> None:
        told = Told()
        lines = list(capture("04-oom.jsonl"))
        end = next(n for n, line in enumerate(lines) if b"oomchild" in line and b'"die"' in line)
        told.replay(iter(lines[:end]))
        (own,) = (key for key, known in told.registry.containers.items() if known.container.name == "oomchild")
        told.changes.clear()
        self.assertIn(own, told.registry.overdue(1795445000.0))
        told.look(own, 1795445000.0)
        self.assertEqual(told.news(), ["oomchild on test is short of memory: the kernel killed a process in it"])
        told.changes.clear()
        told.replay(iter(lines[end:]))
        self.assertEqual(told.happened()[0], "finish")

    def test_a_loop_is_told_at_its_first_and_its_third_crash_and_when_docker_gives_up(
        self,
    ) -> None:
        told = Told()
        told.truth.restarts = {"r3": 3, "ra": 99}
        told.replay(capture("07-restart-policy.jsonl"))
        given_up = ["4th time in 10 minutes. Docker has given up starting it again"]
        for name, code, end in (("r3", 7, given_up), ("ra", 1, [])):
            first, loop, *last = (line for line in told.news() if line.startswith(name))
            self.assertEqual([line.partition(f"exit {code}, ")[2] for line in last], end)
            self.assertEqual(first, f"{name} on test crashed: exit {code}")
            self.assertIn(f"crashed: exit {code}, 3rd time in 10 minutes. It crashes again and again", loop)
        stop = next(change.docker for change in told.changes if change.docker and change.docker.event == "stop")
        # Somebody stopped the loop, so whoever was called because of it is told.
        self.assertEqual((stop.event, stop.looping, stop.crashes, stop.news), ("stop", True, 5, False))

    def test_podmans_stop_comes_before_the_death_and_its_kill_names_no_signal(self) -> None:
        told = Told()
        told.replay(capture("23-podman-compat.jsonl"))
        self.assertEqual([line for line in told.news() if line.startswith(("ph ", "pweb2 "))], [])

    def test_nothing_is_told_twice_in_any_capture(self) -> None:
        for name in ("01-run-stop-rm", "02-kill", "07-restart-policy", "10-compose-v1", "23-podman-compat"):
            assert_no_repeats(self, replayed(f"{name}.jsonl"))


def assert_no_repeats(case: SynchronousTestCase, told: Told) -> None:
    last: dict[str, object] = {}
    for change in told.changes:
        new = (change.state, change.parents, change.docker and change.docker.event)
        if change.action == "update":
            case.assertNotEqual(last.get(change.resource_uri), new, change)
        last[change.resource_uri] = new


class RegistryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told = Told()

    def there(self, **fields: Any) -> str:
        """Make this the truth, and have it looked at."""
        one = container(**fields)
        self.told.truth.containers[one.id] = one
        self.told.look(one.id, START + 5)
        return one.id

    def test_parents_come_in_the_order_of_tutum(self) -> None:
        self.there(labels=compose("web"))
        change = next(change for change in self.told.changes if change.type == "container")
        self.assertEqual([uri.split("/")[3] for uri in change.parents], ["service", "node", "stack"])
        service = next(change for change in self.told.changes if change.type == "service")
        self.assertEqual([uri.split("/")[3] for uri in service.parents], ["stack"])

    def test_without_a_stack_a_service_has_no_parents(self) -> None:
        self.there()
        service = next(change for change in self.told.changes if change.type == "service")
        self.assertEqual(service.parents, ())

    def test_an_event_is_told_after_the_resource_shows_it(self) -> None:
        own = self.there()
        self.assertEqual(self.told.registry.containers[own].state, "Running")

    def test_a_restart_that_nobody_noticed_is_told(self) -> None:
        own = self.there()
        self.told.take()
        self.there(started=(START + 3) * SECOND)
        self.assertEqual(self.told.take("container"), ["container update Stopped web", "container update Running web"])
        self.assertEqual(self.told.registry.containers[own].container.started, (START + 3) * SECOND)

    def test_a_death_while_the_daemon_was_down_is_found_by_looking(self) -> None:
        self.there()
        self.told.take()
        self.there(status="exited", exit_code=7, finished=(START + 4) * SECOND)
        self.assertEqual(self.told.take(), ["container update Stopped web", "service update Stopped web"])

    def test_gone_26_milliseconds_after_it_died(self) -> None:
        own = self.there()
        self.told.take()
        del self.told.truth.containers[own]
        self.told.hear(event("die", at=START + 9, exitCode="3"))
        self.told.hear(event("destroy", at=START + 9.026))
        self.assertEqual(
            self.told.take("container"), ["container update Stopped web", "container delete Terminated web"]
        )
        self.told.look(own, START + 10)
        self.assertEqual(self.told.take(), [])
        self.assertEqual(self.told.registry.containers[own].container.exit_code, 3)

    def test_an_end_that_docker_leaves_at_that_is_told_before_anybody_can_look(self) -> None:
        own = self.there()
        self.told.take()
        line = event("die", at=START + 9, exitCode="3")
        self.told.hear(line, look=False)
        self.assertEqual(self.told.take("container"), ["container update Stopped web"])
        self.assertEqual(self.told.registry.containers[own].container.exit_code, 3)
        self.told.truth.apply(line)
        self.told.look(own, START + 9.1)
        self.assertEqual(self.told.take(), [])
        self.assertEqual(self.told.registry.containers[own].container, self.told.truth.containers[own])

    def test_an_end_of_which_the_stream_does_not_tell_all_waits_for_a_look(self) -> None:
        again = Options(autorestart="ALWAYS")
        facts: list[dict[str, Any]] = [{"options": again}, {"labels": {"exitCode": "0"}}, {"status": "created"}]
        for number, fact in enumerate(facts, 1):
            self.there(number=number, **fact)
            self.told.take()
            self.told.hear(event("die", number, START + 9, exitCode="3"), look=False)
            self.assertEqual(self.told.take(), [], fact)

    def test_a_start_is_told_before_anybody_can_look(self) -> None:
        own = self.there(status="created")
        self.told.take()
        line = event("start", at=START + 9.5)
        self.told.hear(line, look=False)
        self.assertEqual(self.told.take(), ["container update Running web", "service update Running web"])
        self.assertEqual(self.unseen(), [own])
        self.told.truth.apply(line)
        self.told.look(own, START + 9.6)
        self.assertEqual((self.told.take(), self.unseen()), ([], []))
        self.assertEqual(self.told.registry.containers[own].container, self.told.truth.containers[own])

    def test_a_start_of_which_a_look_could_tell_more_waits_for_one(self) -> None:
        self.there(number=2, status="created", probed=True)
        self.assert_waits(2, START + 9.5)
        # No engine of today tells whole seconds only.
        self.there(number=3, status="created")
        self.assert_waits(3, START + 9)

    def test_an_answer_that_was_on_its_way_when_the_start_was_told_takes_nothing_back(self) -> None:
        own = container_id(1)
        lines = [event("create", at=START + 1.5), event("start", at=START + 1.7)]
        for line in lines:
            self.told.hear(line, look=False)
        self.assertEqual(self.told.take("container"), ["container create Starting web", "container update Running web"])
        self.told.truth.restarts["web"] = 0
        self.told.truth.apply(lines[0])
        self.told.look(own, START + 1.8)
        self.assertEqual((self.told.take(), self.unseen()), ([], [own]))
        self.assertEqual(self.told.registry.containers[own].container.options.autorestart, "ON_FAILURE")
        self.told.truth.apply(lines[1])
        self.told.look(own, START + 1.9)
        self.assertEqual((self.told.take(), self.unseen()), ([], []))
        self.assertEqual(self.told.registry.containers[own].container, self.told.truth.containers[own])

    def test_a_start_that_no_answer_knows_of_is_taken_back(self) -> None:
        self.there(status="created")
        self.told.hear(event("start", at=START + 9.5), look=False)
        self.told.take()
        self.there(status="created")
        self.assertEqual(self.told.take("container"), ["container update Starting web"])

    def test_a_short_run_that_was_seen_before_it_was_heard_of_is_told_once(self) -> None:
        self.there(status="created")
        self.told.take()
        run: dict[str, Any] = {"status": "exited", "exit_code": 3, "started": (START + 9) * SECOND}
        self.there(**run, finished=(START + 9) * SECOND + 5_000_000)
        self.assertEqual(self.told.happened(), ["start", "crash"])
        for line in (event("start", at=START + 9.02), event("die", at=START + 9.03, exitCode="3")):
            self.told.hear(line)
        self.assertEqual(self.told.happened(), ["start", "crash"])
        self.told.take()
        self.told.hear(event("start", at=START + 9.5), look=False)
        self.assertEqual(self.told.take("container"), ["container update Running web"])

    def test_what_was_renamed_or_updated_is_looked_at_before_anything_is_told_of_it(self) -> None:
        for number, action in enumerate(("rename", "update"), 1):
            own = self.there(number=number, status="created")
            self.told.hear(event(action, number, START + 9.4), look=False)
            self.assert_waits(number, START + 9.5)
            self.there(number=number, name="new", started=(START + 9) * SECOND)
            self.assertEqual(self.told.registry.containers[own].altered, False)
            self.told.hear(event(action, number, START + 9.6), look=False)
            self.told.take()
            self.told.hear(event("die", number, START + 9.7, exitCode="0"), look=False)
            self.assertEqual(self.told.take(), [], action)

    def test_of_what_has_ended_no_address_is_shown(self) -> None:
        own = self.there(private_ip="172.17.0.2", ports=[{"inner_port": 80, "outer_port": 8080, "protocol": "tcp"}])
        self.told.hear(event("die", at=START + 9.5, exitCode="0"), look=False)
        container = self.told.registry.containers[own].container
        self.assertEqual((container.private_ip, container.ports[0].outer_port), (None, None))
        self.assertEqual(self.unseen(), [])

    def test_the_end_of_what_nobody_has_looked_at_waits_for_a_look(self) -> None:
        for line in (event("create", at=START + 1.5), event("start", at=START + 1.7)):
            self.told.hear(line, look=False)
        self.told.take()
        self.told.hear(event("die", at=START + 1.9, exitCode="0"), look=False)
        self.assertEqual(self.told.take(), [])

    def test_an_old_start_says_nothing_about_what_came_after_it(self) -> None:
        over: dict[str, Any] = {"status": "exited", "exit_code": 0, "finished": (START + 4) * SECOND}
        self.there(number=1, **over)
        self.assert_waits(1, START + 1.5)
        self.there(number=2)
        self.told.hear(event("die", 2, START + 4.5, exitCode="0"), look=False)
        self.assert_waits(2, START + 4.4)

    def unseen(self) -> list[str]:
        return self.told.registry.unseen("container")

    def test_what_was_told_of_and_not_looked_at_is_found_by_whatever_shows_it(self) -> None:
        one, other = (self.there(number=number, status="created", labels=compose(f"s{number}")) for number in (1, 2))
        for number in (1, 2):
            self.told.hear(event("start", number, START + 9.5), look=False)
        registry = self.told.registry
        for kind in ("container", "service"):
            self.assertEqual(registry.unseen(kind), [one, other], kind)
        self.assertEqual(registry.unseen("container", registry.containers[one].uuid), [one])
        self.assertEqual(registry.unseen("service", registry.containers[other].place.service), [other])
        self.assertEqual([registry.unseen(kind, "x") for kind in ("container", "service", "stack")], [[], [], []])

    def test_it_is_looked_at_a_little_later(self) -> None:
        own = self.there(status="created")
        self.told.registry.overdue(START + 1000)
        line = event("start", at=START + 2000.5)
        self.told.hear(line, look=False)
        self.told.truth.apply(line)
        self.assertEqual(self.told.registry.overdue(START + 2000.5 + LEISURE - 0.1), [])
        self.assertEqual(self.told.registry.overdue(START + 2000.5 + LEISURE), [own])
        self.told.look(own, START + 2001)
        self.assertEqual(self.told.registry.overdue(START + 3000), [])

    def assert_waits(self, number: int, at: float) -> None:
        self.told.take()
        before = self.unseen()
        self.told.hear(event("start", number, at), look=False)
        self.assertEqual((self.told.take(), self.unseen()), ([], before))

    def test_a_run_that_was_only_heard_of_ends_once(self) -> None:
        own = self.there(status="created")
        self.told.take()
        lines = [event("start", at=START + 9.5), event("die", at=START + 9.6, exitCode="3")]
        for line in lines:
            self.told.hear(line, look=False)
            self.told.truth.apply(line)
        self.assertEqual(self.told.take("container"), ["container update Running web", "container update Stopped web"])
        self.told.look(own, START + 9.7)
        self.assertEqual((self.told.take(), self.unseen()), ([], []))
        self.assertEqual(self.told.registry.containers[own].container, self.told.truth.containers[own])

    def test_a_run_that_was_only_heard_of_may_be_followed_by_another_before_anybody_looked(self) -> None:
        again = Options(autorestart="ALWAYS")
        own = self.there(
            status="restarting", options=again, restart_count=1, exit_code=3, finished=(START + 2) * SECOND
        )
        self.told.take()
        self.told.hear(event("start", at=START + 19.5), look=False)
        self.assertEqual(self.told.registry.containers[own].container.restart_count, 1)
        self.there(options=again, restart_count=2, started=(START + 20) * SECOND)
        self.assertEqual(
            self.told.take("container"),
            ["container update Running web", "container update Stopped web", "container update Running web"],
        )

    def test_a_run_that_was_only_heard_of_is_gone_when_nobody_finds_it(self) -> None:
        own = self.there(status="created")
        self.told.take()
        self.told.hear(event("start", at=START + 9.5), look=False)
        del self.told.truth.containers[own]
        self.told.look(own, START + 9.5 + HEARSAY)
        self.assertEqual(
            self.told.take("container"), ["container update Running web", "container delete Terminated web"]
        )
        self.assertEqual(self.unseen(), [])

    def test_docker_counts_anew_where_somebody_else_starts_it(self) -> None:
        own = self.there(status="exited", restart_count=4, exit_code=3, finished=(START + 2) * SECOND)
        self.told.hear(event("start", at=START + 19.5), look=False)
        self.assertEqual(self.told.registry.containers[own].container.restart_count, 0)

    def test_an_old_end_says_nothing_about_the_new_run(self) -> None:
        self.there(started=(START + 3) * SECOND)
        self.told.take()
        self.told.hear(event("die", at=START + 2, exitCode="3"), look=False)
        self.assertEqual(self.told.take(), [])

    def test_what_ended_before_is_gone_as_soon_as_the_stream_says_so(self) -> None:
        self.there(status="exited", exit_code=0, finished=(START + 2) * SECOND)
        self.told.take()
        self.told.hear(event("destroy", at=START + 9), look=False)
        self.assertEqual(self.told.take("container"), ["container delete Terminated web"])

    def test_an_answer_that_overtakes_the_stream_hides_no_end(self) -> None:
        self.told.hear(event("create", at=START + 1), look=False)
        self.told.hear(event("start", at=START + 1.1))
        self.assertEqual(self.told.take("container"), ["container create Starting web", "container update Running web"])
        self.told.hear(event("die", at=START + 1.2, exitCode="3"))
        self.assertEqual(
            self.told.take("container"), ["container update Stopped web", "container delete Terminated web"]
        )

    def test_what_is_gone_and_was_never_said_to_have_ended_is_gone_a_little_later(self) -> None:
        own = self.there(status="created")
        self.told.hear(event("start", at=START + 9), look=False)
        del self.told.truth.containers[own]
        self.told.take()
        self.told.look(own, START + 9.1)
        self.assertEqual(self.told.take(), [])
        self.told.registry.overdue(START + 9)
        self.assertEqual(self.told.registry.overdue(START + 9 + HEARSAY), [own])
        self.told.look(own, START + 9 + HEARSAY)
        self.assertEqual(self.told.take("container"), ["container delete Terminated web"])

    def test_one_that_was_created_and_removed_is_gone_at_once(self) -> None:
        self.told.hear(event("create", at=START + 1), look=False)
        self.told.hear(event("destroy", at=START + 1.1))
        self.assertEqual(self.told.take("container")[-1], "container delete Terminated web")

    def test_of_a_forged_exit_code_nothing_is_believed(self) -> None:
        own = self.there(labels={"exitCode": "0"})
        del self.told.truth.containers[own]
        self.told.hear(event("die", at=START + 9, exitCode="0"))
        self.assertIsNone(self.told.registry.containers[own].container.exit_code)

    def test_a_life_too_short_to_look_at_is_told_from_the_stream(self) -> None:
        for action, more in (("create", {}), ("start", {}), ("die", {"exitCode": "4"})):
            self.told.hear(event(action, at=START + 1, **more), look=False)
        self.told.look(container_id(1), START + 2)
        self.assertEqual(
            self.told.take("container"),
            [
                "container create Starting web",
                "container update Running web",
                "container update Stopped web",
                "container delete Terminated web",
            ],
        )
        self.assertEqual(self.told.registry.containers[container_id(1)].container.exit_code, 4)

    def test_a_creation_is_told_before_anybody_can_look(self) -> None:
        self.told.hear(event("create", **compose("web")), look=False)
        self.assertEqual(
            self.told.take(),
            ["stack create Starting shop", "service create Starting web", "container create Starting web"],
        )

    def test_what_was_never_heard_of_is_told_from_its_creation_on(self) -> None:
        self.there(status="exited", exit_code=0, finished=(START + 2) * SECOND)
        self.assertEqual(
            self.told.take("container"),
            ["container create Starting web", "container update Running web", "container update Stopped web"],
        )

    def test_hints_of_a_container_that_nobody_knows_and_that_is_gone_tell_nothing(self) -> None:
        self.told.hear(event("die", exitCode="1"))
        self.told.hear(event("kill", signal="9"))
        self.told.hear(event("destroy"))
        self.assertEqual(self.told.take(), [])

    def test_stopping_begins_with_the_stop_signal_of_the_image(self) -> None:
        self.there(stop_signal=10)
        self.told.take()
        self.told.hear(event("kill", at=START + 9, signal="10"))
        self.assertEqual(self.told.take("container"), ["container update Stopping web"])

    def test_an_old_kill_says_nothing_about_the_new_run(self) -> None:
        self.there(started=(START + 3) * SECOND)
        self.told.take()
        self.told.hear(event("kill", at=START + 2, signal="15"))
        self.assertEqual(self.told.take(), [])

    def test_a_signal_that_a_label_may_have_forged_says_nothing(self) -> None:
        self.there(labels={"signal": "9"})
        self.told.take()
        self.told.hear(event("kill", at=START + 9, signal="9"))
        self.assertEqual(self.told.take(), [])

    def test_a_kill_of_what_does_not_run_says_nothing(self) -> None:
        self.there(status="exited")
        self.told.take()
        self.told.hear(event("kill", at=START + 9, signal="9"))
        self.assertEqual(self.told.take(), [])

    def test_stopping_lasts_through_other_looks_until_its_deadline(self) -> None:
        own = self.there(stop_timeout=30)
        self.told.hear(event("kill", at=START + 9, signal="15"))
        self.told.take()
        self.told.look(own, START + 48)
        self.assertEqual(self.told.take(), [])
        # Until now it would have been looked at because it was once starting.
        self.told.registry.overdue(START + 48)
        self.assertEqual(self.told.registry.overdue(START + 49), [own])
        self.told.look(own, START + 49)
        self.assertEqual(self.told.take("container"), ["container update Running web"])

    def test_a_kill_that_is_told_again_does_not_bring_stopping_back(self) -> None:
        own = self.there()
        kill = event("kill", at=START + 9, signal="15")
        self.told.hear(kill)
        self.told.look(own, START + 99)
        self.told.take()
        self.told.hear(kill)
        self.assertEqual(self.told.take(), [])

    def test_the_removal_of_a_running_container_passes_through_stopped(self) -> None:
        self.there()
        self.told.take()
        self.there(status="removing", finished=(START + 4) * SECOND, exit_code=0)
        self.assertEqual(
            self.told.take("container"), ["container update Stopped web", "container update Terminating web"]
        )

    def test_a_network_that_takes_or_lets_go_of_what_runs_gives_it_another_address(self) -> None:
        own = self.there(private_ip="172.17.0.2")
        for action, address in (("disconnect", None), ("connect", "172.18.0.2")):
            self.told.truth.containers[own] = container(private_ip=address)
            self.told.hear(event(action, kind="network", container=own))
            self.assertEqual(self.told.registry.containers[own].container.private_ip, address)

    def test_a_network_that_takes_what_starts_is_no_hint(self) -> None:
        own = self.there(status="created")
        self.told.take()
        self.told.truth.containers[own] = container()
        self.told.hear(event("connect", kind="network", container=own))
        self.assertEqual(self.told.take(), [])

    def test_a_network_that_lets_go_of_what_starts_is_a_hint_that_it_does_not(self) -> None:
        own = self.there(status="created")
        self.told.take()
        self.told.truth.containers[own] = container(status="created", error="no such file", exit_code=127)
        self.told.hear(event("disconnect", kind="network", container=own))
        self.assertEqual(self.told.take("container"), ["container update Stopped web"])
        self.told.truth.containers[own] = container()
        self.told.hear(event("disconnect", kind="network", container=own))
        self.assertEqual(self.told.take(), [], "what has ended may be let go of")

    def test_one_that_is_created_is_looked_at_again_and_stops_counting_as_starting(self) -> None:
        own = self.there(status="created")
        self.told.take()
        for check in CHECKS:
            self.assertEqual(self.told.registry.overdue(START + 5 + check), [own])
            self.told.look(own, START + 5 + check)
        self.assertEqual(self.told.take("container"), ["container update Stopped web"])
        self.assertEqual(self.told.registry.overdue(START + 1e6), [])

    def test_one_that_is_settled_is_not_looked_at_again(self) -> None:
        self.there()
        self.assertEqual(self.told.registry.overdue(START + 1e6), [])

    def test_who_said_gone_may_have_been_wrong(self) -> None:
        own = self.there()
        self.told.look(own, START + 6)
        del self.told.truth.containers[own]
        self.told.look(own, START + 7)
        self.told.look(own, START + 8)
        self.told.take()
        self.there()
        self.assertEqual(self.told.take("container")[0], "container create Starting web")
        self.assertEqual(self.told.registry.alive(), [own])

    def test_a_hint_about_the_dead_is_not_followed(self) -> None:
        own = self.there()
        del self.told.truth.containers[own]
        self.told.look(own, START + 7)
        self.told.truth.containers[own] = container()
        self.told.take()
        self.told.hear(event("start", at=START + 9))
        self.assertEqual(self.told.take(), [])

    def test_a_service_that_comes_back_is_the_same(self) -> None:
        self.there(number=1)
        self.told.truth.containers.clear()
        self.told.look(container_id(1), START + 6)
        self.there(number=2)
        uris = {change.resource_uri for change in self.told.changes if change.type == "service"}
        self.assertEqual(len(uris), 1)
        self.assertEqual(self.told.lines("service")[-2:], ["service create Starting web", "service update Running web"])

    def test_what_ended_is_kept_for_a_time(self) -> None:
        own = self.there(labels=compose("web"))
        del self.told.truth.containers[own]
        self.told.look(own, START + 6)
        self.told.registry.purge(START + 6 + TERMINATED_AGE)
        self.assertIn(own, self.told.registry.containers)
        self.told.registry.purge(START + 7 + TERMINATED_AGE)
        self.assertEqual(self.told.registry.containers, {})
        self.assertIsNone(self.told.registry.find(self.told.changes[0].resource_uri.split("/")[-2]))
        self.assertEqual((self.told.registry.groups.services, self.told.registry.groups.stacks), ({}, {}))

    def test_what_ended_is_kept_in_a_bounded_number(self) -> None:
        for number in range(5 + 3):
            self.there(number=number + 1, name=f"n{number}")
            del self.told.truth.containers[container_id(number + 1)]
            self.told.look(container_id(number + 1), START + 6)
        self.told.registry.purge(START + 7, 5)
        self.assertEqual(len(self.told.registry.containers), 5)
        self.assertNotIn(container_id(3), self.told.registry.containers)
        self.assertIn(container_id(4), self.told.registry.containers)

    def test_engines_with_the_same_id_are_told_apart_by_their_names(self) -> None:
        other = Told()
        other.registry = type(other.registry)("other", START)
        self.assertNotEqual(self.told.registry.node.uuid, other.registry.node.uuid)
        self.there(labels=compose("web"))
        other.truth = self.told.truth
        other.resync(START + 5)
        groups = {change.resource_uri for change in self.told.changes if change.type != "container"}
        self.assertTrue(groups.isdisjoint({change.resource_uri for change in other.changes}))

    def test_the_node_is_told_only_when_it_changes(self) -> None:
        registry = self.told.registry
        self.assertEqual(list(registry.nodes.reach("Deployed")), [])
        (change,) = list(registry.nodes.reach("Unreachable"))
        self.assertEqual(
            (change.type, change.action, change.state, change.parents), ("node", "update", "Unreachable", ())
        )
        self.assertEqual(list(registry.nodes.reach("Unreachable")), [])
        registry.describe_engine(Engine(hostname="vm"), START)
        registry.nodes.seen_alive(START + 50)
        self.assertEqual((registry.node.engine.hostname, registry.node.last_seen), ("vm", START + 50))

    def test_an_intermediate_container_that_is_listed_is_nobodys(self) -> None:
        self.there(image="sha256:" + "0" * 64)
        self.assertEqual(self.told.take(), [])
        self.assertEqual(self.told.registry.containers, {})


class MishapTests(SynchronousTestCase):
    """How the registry tells crashes from stops."""

    def setUp(self) -> None:
        self.told = Told()

    def there(self, **fields: Any) -> str:
        one = container(**fields)
        self.told.truth.containers[one.id] = one
        self.told.look(one.id, START + 5)
        return one.id

    def ends(self, exit_code: int = 1, **fields: Any) -> list[str]:
        """It dies at nine, and is looked at."""
        self.told.changes.clear()
        died = {"status": "exited", "finished": (START + 9) * SECOND, "exit_code": exit_code, **fields}
        one = container(**died)
        self.told.truth.containers[one.id] = one
        self.told.hear(event("die", at=START + 9, exitCode=str(exit_code)))
        return self.told.happened()

    def test_what_is_stopped_while_docker_waits_to_start_it_again_is_told_as_stopped(self) -> None:
        always = Options(autorestart="ALWAYS")
        self.there(options=always)
        crashed = {"exit_code": 1, "restart_count": 1, "finished": (START + 9) * SECOND, "options": always}
        self.assertEqual(self.ends(status="restarting", **crashed), ["crash"])
        self.told.changes.clear()
        self.there(status="restarting", **crashed)
        self.assertEqual(self.told.happened(), [])
        self.there(status="exited", **crashed)
        self.assertEqual(self.told.happened(), ["stop"])

    def test_what_can_not_be_started_again_crashed_for_good_and_nobody_stopped_it(self) -> None:
        always = Options(autorestart="ALWAYS")
        crashed = {"exit_code": 1, "restart_count": 1, "finished": (START + 9) * SECOND, "options": always}
        self.there(options=always)
        self.ends(status="restarting", **crashed)
        self.told.changes.clear()
        own = self.there(status="exited", error="no space left on device", **crashed)
        self.assertEqual(self.told.happened(), ["crash"])
        refused = "web on test could not be started: no space left on device, 2nd time in 10 minutes"
        self.assertEqual(self.told.news(), [f"{refused}. Docker has given up starting it again"])
        self.told.changes.clear()
        self.told.look(own, START + 20)
        self.assertEqual(self.told.happened(), [])
        self.there(started=(START + 30) * SECOND, options=always)
        self.told.look(own, START + 61)
        self.assertEqual(self.told.happened(), ["start", "recovery"])

    def test_a_loop_that_ends_in_a_start_that_fails_goes_on_until_it_runs(self) -> None:
        always = Options(autorestart="ALWAYS")
        ended = {"exit_code": 1, "options": always}
        for count in range(1, 4):
            started = (START + 10 * count) * SECOND
            self.there(started=started, options=always, restart_count=count - 1)
            died = {"started": started, "finished": started + SECOND, **ended}
            self.there(status="restarting", restart_count=count, **died)
        self.told.changes.clear()
        self.there(status="exited", error="port is already allocated", restart_count=3, **died)
        (told,) = [change.docker for change in self.told.changes if change.docker and change.docker.event]
        self.assertEqual((told.event, told.looping, told.given_up, told.news), ("crash", True, True, True))

    def test_what_an_engine_stopped_and_could_not_start_when_it_came_back_did_not_want_to_stop(self) -> None:
        always = Options(autorestart="ALWAYS")
        stopped = {"finished": (START + 9) * SECOND, "options": always}
        for heard_of_its_end in (True, False):
            self.told = Told()
            own = self.there(options=always)
            self.told.hear(event("kill", at=START + 8, signal="15"))
            if heard_of_its_end:
                self.assertEqual(self.ends(0, **stopped), ["stop"])
            self.told.changes.clear()
            self.there(status="exited", exit_code=0, error="stat /mnt: no such file or directory", **stopped)
            refused = "web on test could not be started: stat /mnt: no such file or directory"
            self.assertEqual(self.told.news(), [f"{refused}. Docker has given up starting it again"])
            self.told.look(own, START + 61)
            self.assertEqual(len(self.told.news()), 1)

    def test_what_waits_to_be_started_again_is_looked_at_for_longer_than_docker_waits(self) -> None:
        always = Options(autorestart="ALWAYS")
        self.assertGreater(CHECKS[-1], 60.0)
        for runs_again in (False, True):
            self.told = Told()
            own = self.there(options=always)
            self.told.registry.overdue(START + 1000)
            self.ends(status="restarting", options=always, restart_count=1)
            if runs_again:
                self.there(started=(START + 10) * SECOND, options=always, restart_count=1)
            expected = [] if runs_again else [own]
            self.assertEqual(self.told.registry.overdue(START + 9 + CHECKS[0]), expected)
            self.assertEqual(self.told.registry.overdue(START + 9 + CHECKS[1]), expected)
            if not runs_again:
                self.assertEqual(self.told.registry.overdue(START + 9 + CHECKS[-1]), expected)

    def test_what_gets_a_network_after_its_end_is_looked_at_a_little_later(self) -> None:
        for action in ("connect", "disconnect"):
            self.told = Told()
            own = self.there(status="exited", exit_code=1, finished=(START + 9) * SECOND)
            self.told.hear(event(action, at=START + 20, kind="network", container=own))
            self.assertEqual(self.told.registry.overdue(START + 20 + LEISURE), [own])

    def test_what_was_never_started_or_is_on_its_way_out_has_not_ended_by_that(self) -> None:
        for number, (first, then, told) in enumerate(
            (
                ("created", "created", [("Stopped", "")]),
                ("running", "stopping", [("Stopping", "")]),
                ("running", "removing", [("Stopped", "stop"), ("Terminating", "")]),
            )
        ):
            own = self.there(number=number, status=first)
            self.told.changes.clear()
            self.told.truth.containers[own] = container(number, status=then)
            self.told.look(own, START + 61)
            found = [
                (each.state, each.docker.event)
                for each in self.told.changes
                if each.type == "container" and each.docker
            ]
            self.assertEqual(found, told)

    def test_where_nobody_says_who_stops_something_being_killed_is_no_crash_unless_memory_was_short(self) -> None:
        for code, more, happened in (
            (137, {}, "stop"),
            (143, {}, "stop"),
            (137, {"oom_killed": True}, "crash"),
            (3, {}, "crash"),
            (0, {}, "finish"),
        ):
            self.setUp()
            self.told.registry.describe_engine(Engine(tells_stops=False), START)
            self.there()
            self.assertEqual(self.ends(code, **more), [happened], code)

    def test_where_a_restart_policy_says_that_it_restarts_that_is_nobodys_action(self) -> None:
        self.told.registry.describe_engine(Engine(tells_stops=False), START)
        again = Options(autorestart="ALWAYS")
        self.there(options=again)
        self.told.hear(event("die", at=START + 9.1, exitCode="1"), look=False)
        self.told.take()
        for at in (START + 9.2, START + 18.0):
            self.told.hear(event("restart", at=at), look=False)
            self.assertEqual(self.told.take(), [])
        self.there(options=again, status="exited", exit_code=1, finished=(START + 9) * SECOND)
        self.told.take()
        self.told.hear(event("restart", at=START + 19.2), look=False)
        self.assertEqual(self.told.take(), ["action create Success Container Restart"])

    def test_and_is_it_no_more_where_a_look_saw_the_next_run_before(self) -> None:
        self.told.registry.describe_engine(Engine(tells_stops=False), START)
        again = Options(autorestart="ON_FAILURE")
        self.there(options=again)
        self.told.hear(event("die", at=START + 9.1, exitCode="1"), look=False)
        self.there(options=again, started=int((START + 9.5) * SECOND), restart_count=1)
        self.told.take()
        self.told.hear(event("restart", at=START + 9.4), look=False)
        self.assertEqual(self.told.take(), [])
        # This one is about the run that goes on.
        self.told.hear(event("restart", at=START + 12.0), look=False)
        self.assertEqual(self.told.take(), ["action create Success Container Restart"])

    def test_a_signal_to_stop_before_the_end_makes_it_a_stop(self) -> None:
        self.there()
        self.told.hear(event("kill", at=START + 8, signal="15"))
        self.assertEqual(self.ends(143), ["stop"])

    def test_one_that_came_long_before_does_not(self) -> None:
        self.there(started=1 * SECOND)
        self.told.hear(event("kill", at=START - 100, signal="15"))
        self.assertEqual(self.ends(1, started=1 * SECOND), ["crash"])

    def test_one_that_came_before_anybody_saw_it_run_does_too(self) -> None:
        self.there(status="created")
        self.told.hear(event("kill", at=START + 8, signal="9"))
        self.assertEqual(self.ends(137), ["start", "stop"])

    def test_any_signal_that_it_died_of_came_from_outside(self) -> None:
        self.there()
        self.told.hear(event("kill", at=START + 8, signal="1"))
        self.assertEqual(self.ends(129), ["stop"])

    def test_a_signal_that_it_survived_explains_no_other_code(self) -> None:
        self.there()
        self.told.hear(event("kill", at=START + 8, signal="1"))
        self.assertEqual(self.ends(1), ["crash"])

    def test_a_signal_that_a_label_hides_counts_as_one_to_stop(self) -> None:
        self.there(labels={"signal": "0"})
        self.told.hear(event("kill", at=START + 8, signal="0"))
        self.assertEqual(self.ends(137, labels={"signal": "0"}), ["stop"])

    def test_an_engine_that_says_stop_before_the_death_is_believed(self) -> None:
        self.there()
        self.told.hear(event("stop", at=START + 8.9))
        self.assertEqual(self.ends(137), ["stop"])

    def test_an_end_that_nobody_saw_is_judged_by_what_stops_leave(self) -> None:
        for number, (code, happened) in enumerate(((137, "stop"), (143, "stop"), (0, "finish"), (1, "crash")), 1):
            self.there(number=number)
            self.told.changes.clear()
            self.there(number=number, status="exited", finished=(START + 4) * SECOND, exit_code=code)
            self.assertEqual(self.told.happened(), [happened])

    def test_a_run_that_was_only_heard_of_ends_as_any_other(self) -> None:
        for number, (kill, code, happened) in enumerate(
            ((False, 1, "crash"), (True, 143, "stop"), (False, 0, "finish"))
        ):
            self.there(number=number, status="created")
            self.told.changes.clear()
            self.told.hear(event("start", number, START + 6.5), look=False)
            if kill:
                self.told.hear(event("kill", number, START + 7.5, signal="15"), look=False)
            self.told.hear(event("die", number, START + 8.5, exitCode=str(code)), look=False)
            self.assertEqual([word for word in self.told.happened() if word != "start"], [happened])

    def test_a_run_that_was_only_heard_of_makes_well_again(self) -> None:
        own = self.there()
        self.assertEqual(self.ends(1), ["crash"])
        self.told.changes.clear()
        line = event("start", at=START + 20.5)
        self.told.hear(line, look=False)
        self.told.truth.apply(line)
        self.told.look(own, START + 21.0)
        (due,) = [at for at in range(START + 21, START + 300) if self.told.registry.overdue(at)][:1]
        self.told.look(own, due)
        self.assertEqual(self.told.happened(), ["start", "recovery"])

    def test_restarts_that_nobody_saw_are_counted(self) -> None:
        self.there()
        self.told.changes.clear()
        self.there(started=(START + 4) * SECOND, restart_count=4)
        crash = next(change.docker for change in self.told.changes if change.docker and change.docker.event == "crash")
        self.assertEqual((crash.crashes, crash.looping, crash.exit_code), (4, True, None))

    def test_a_restart_by_hand_that_nobody_saw_is_none(self) -> None:
        self.there()
        self.told.changes.clear()
        self.there(started=(START + 4) * SECOND)
        self.assertEqual(self.told.happened(), ["stop", "start"])

    def test_one_gone_at_once_is_judged_by_what_was_heard(self) -> None:
        own = self.there()
        self.told.changes.clear()
        del self.told.truth.containers[own]
        self.told.hear(event("oom", at=START + 8.9))
        self.told.hear(event("die", at=START + 9, exitCode="137"))
        self.assertEqual(self.told.news(), ["web on test crashed: exit 137, out of memory"])

    def test_it_is_well_again_after_a_time_that_nobody_has_to_ask_for(self) -> None:
        own = self.there()
        self.ends(1)
        self.told.changes.clear()
        self.there(started=(START + 10) * SECOND)
        due = [at for at in range(START + 6, START + 60) if own in self.told.registry.overdue(at)]
        self.assertEqual(due, [START + 35])
        self.told.look(own, START + 36)
        self.assertEqual(self.told.happened(), ["start", "recovery"])

    def test_what_is_there_at_the_start_is_no_news(self) -> None:
        own = self.there(status="exited", exit_code=3, finished=(START + 2) * SECOND)
        self.told.registry.take_stock(START + 5)
        self.told.changes.clear()
        self.there(started=(START + 10) * SECOND)
        self.told.look(own, START + 100)
        self.assertEqual(self.told.news(), [])

    def test_the_next_task_in_a_slot_goes_on_with_the_troubles_of_the_last(self) -> None:
        labels = {"com.docker.swarm.service.id": "a" * 25, "com.docker.swarm.service.name": "web"}
        for number in range(1, 5):
            name, at = f"web.1.{'t' * 24}{number}", START + number * 10
            fields = {"number": number, "name": name, "labels": labels, "started": at * SECOND}
            self.there(**fields)
            self.told.hear(event("die", number, at + 1, exitCode="1"), look=False)
            self.there(**fields, status="exited", exit_code=1, finished=(at + 1) * SECOND)
        self.assertEqual(
            [line.partition(".")[0] for line in self.told.news()],
            ["web-1 on test crashed: exit 1", "web-1 on test crashed: exit 1, 3rd time in 10 minutes"],
        )
        slots = {change.docker.slot for change in self.told.changes if change.docker and change.docker.slot}
        self.assertEqual(len(slots), 1)
        # What the swarm clears away ends nothing, the newest does.
        self.told.changes.clear()
        for number in range(1, 5):
            self.told.truth.containers.pop(container_id(number))
            self.told.look(container_id(number), START + 100)
        gone = [
            change.docker.looping for change in self.told.changes if change.docker and change.docker.event == "remove"
        ]
        self.assertEqual(gone, [False, False, False, True])

    def test_a_removal_says_when_it_was_unless_it_was_only_found_out(self) -> None:
        for number in (1, 2):
            self.there(number=number, status="exited", finished=(START + 2) * SECOND, exit_code=0)
        self.told.hear(event("destroy", 1, START + 3.0))
        self.told.truth.containers.clear()
        self.told.look(container_id(2), START + 9.0)
        gone = [change.docker.time for change in self.told.changes if change.docker and change.docker.event == "remove"]
        self.assertEqual(gone, [moment(int((START + 3.0) * SECOND)), ""])

    def test_a_task_elsewhere_crashed_where_its_swarm_says_that_it_failed(self) -> None:
        for number, (fate, happened) in enumerate((("failed", "crash"), ("shutdown", "stop"), ("complete", "stop")), 1):
            self.there(number=number)
            self.told.changes.clear()
            self.there(number=number, status="exited", finished=(START + 4) * SECOND, exit_code=137, fate=fate)
            self.assertEqual(self.told.happened(), [happened])


class SlotTests(SynchronousTestCase):
    """Of a service's tasks in one slot only one is known, and runs; then nobody looks for a while."""

    def story(self, looping: bool, order: Sequence[int], codes: Sequence[int]) -> Told:
        """Each ended with its exit code but the last, which runs; they are looked at in this order."""
        told = Told()
        past = (1,) * 3 if looping else ()
        for number, code in enumerate(past, 1):
            self.look(told, number, None)
            self.look(told, number, code)
        self.look(told, len(past) + 1, None)
        told.changes.clear()
        for place in order:
            self.look(told, len(past) + 1 + place, codes[place] if place < len(codes) else None)
        return told

    def look(self, told: Told, number: int, code: int | None) -> None:
        """At one that ended with this code; None for one that runs."""
        one = task(number, code)
        told.truth.containers[one.id] = one
        told.look(one.id, START + 100)

    def wait(self, told: Told) -> None:
        for at in (START + 200, START + 900):
            for own in told.registry.overdue(at):
                told.look(own, at)

    def test_one_that_is_created_before_the_end_of_the_last_was_seen_follows_it_all_the_same(self) -> None:
        told = Told()
        for number in range(1, 4):
            self.look(told, number, None)
            told.truth.containers[container_id(number + 1)] = task(number + 1, None, "created")
            told.look(container_id(number + 1), START + 10.0 * number)
            self.look(told, number, 1)
        self.assertEqual(
            [line.partition(".")[0] for line in told.news()],
            ["web-1 on test crashed: exit 1", "web-1 on test crashed: exit 1, 3rd time in 10 minutes"],
        )

    def test_what_is_found_of_the_past_of_a_service_that_was_stopped_since_is_no_news(self) -> None:
        told = self.story(False, [3, 2, 1, 0], (1, 1, 1, 143))
        self.assertEqual((told.news(), told.happened().count("crash")), ([], 3))

    def test_what_crashed_just_before_us_is_told_to_end_but_not_again(self) -> None:
        """Who compares lists, as tutumstream does after a start, has told of it as it was found."""
        for status in ("exited", "created", "running"):
            told = Told()
            self.look(told, 1, 3)
            if status != "exited":
                told.truth.containers[container_id(2)] = task(2, None, status)
                told.look(container_id(2), START + 12)
            told.registry.take_stock(START + 13)
            if status != "running":
                self.look(told, 2, None)
                self.look(told, 2, 3)
                self.look(told, 3, None)
            self.assertEqual(told.news(), ["web-1 on test crashed: exit 3"])
            self.wait(told)
            self.assertEqual(told.happened()[-1], "recovery")
            # Another gateway told of a crash whose successor ran before we were there.
            self.assertEqual(len(told.news()), 1 if status == "running" else 2)

    def test_one_that_crashed_just_before_us_is_not_told_as_stopped_while_the_next_is_still_to_come(self) -> None:
        told = Told()
        self.look(told, 1, 3)
        told.registry.take_stock(START + 13)
        told.changes.clear()
        self.look(told, 1, 3)
        self.assertEqual(told.happened(), [])

    def test_one_that_was_stopped_before_us_ended_what_had_crashed_before_it(self) -> None:
        for begun in (False, True):
            told = Told()
            for number, code in ((1, 3), (2, 143)):
                self.look(told, number, code)
            if begun:
                told.truth.containers[container_id(3)] = task(3, None, "created")
                told.look(container_id(3), START + 22)
            told.registry.take_stock(START + 25)
            told.changes.clear()
            self.look(told, 3, None)
            self.wait(told)
            self.assertEqual(told.happened(), ["start"] if begun else ["create", "start"])

    def test_one_that_crashed_long_before_us_or_only_was_short_of_memory_is_nothing_to_recover_from(self) -> None:
        for number, one in ((2, task(1, 3)), (1, replace(task(1, None), oom_killed=True))):
            told = Told()
            told.truth.containers[one.id] = one
            told.look(one.id, START + 4)
            told.registry.take_stock(START + (13 if number == 1 else 604))
            told.changes.clear()
            self.look(told, number, None)
            self.wait(told)
            self.assertNotIn("recovery", told.happened())

    def test_one_that_runs_after_a_crash_just_before_us_crashes_as_any_other(self) -> None:
        told = Told()
        for number, code in ((1, 3), (2, None)):
            self.look(told, number, code)
        told.registry.take_stock(START + 15)
        told.changes.clear()
        self.look(told, 2, 3)
        self.assertEqual([line.partition(".")[0] for line in told.news()], ["web-1 on test crashed: exit 3"])

    def test_one_that_crashes_beside_the_next_is_told_and_one_that_makes_room_for_it_is_no_news(self) -> None:
        for code, news in ((1, ["web-1 on test crashed: exit 1"]), (143, [])):
            told = Told()
            for number in (1, 2):
                self.look(told, number, None)
            one = replace(task(1, code), finished=(START + 20) * SECOND)
            told.truth.containers[one.id] = one
            told.look(one.id, START + 100)
            self.assertEqual([line.partition(".")[0] for line in told.news()], news)

    def test_one_whose_end_is_found_after_that_of_the_next_tells_nothing_more_of_that(self) -> None:
        told = Told()
        for number, code in ((1, None), (2, None), (2, 3), (1, 3)):
            self.look(told, number, code)
        told.changes.clear()
        self.look(told, 2, 3)
        self.assertEqual(told.happened(), [])

    def test_one_that_is_found_to_have_ended_well_leaves_nothing_to_wait_for(self) -> None:
        told = self.story(False, [1, 0], (0,))
        self.wait(told)
        self.assertEqual(told.happened()[-1], "finish")

    @searching(10)
    @given(st.booleans(), st.integers(1, 5).flatmap(lambda more: st.permutations(range(more + 1))))
    def test_the_order_in_which_their_crashes_are_found_does_not_matter(self, looping: bool, order: list[int]) -> None:
        codes = (1,) * (len(order) - 1)
        told, in_order = self.story(looping, order, codes), self.story(looping, sorted(order), codes)
        newest = container_id((3 if looping else 0) + len(order))
        record = told.registry.containers[newest].record
        self.assertEqual(record, in_order.registry.containers[newest].record)
        self.assertEqual(record.looping, looping or len(codes) >= 3)
        self.assertEqual(len(told.news()), len(in_order.news()))
        self.wait(told)
        self.assertEqual(told.happened()[-1], "recovery")
        self.assertIn("web-1 on test runs again", told.news()[-1])

    @searching(10)
    @given(
        st.booleans(),
        st.lists(st.sampled_from((0, 1, 137)), min_size=1, max_size=5).flatmap(
            lambda codes: st.tuples(st.just(codes), st.permutations(range(len(codes) + 1)))
        ),
    )
    def test_however_they_ended_a_loop_is_over_when_the_last_one_runs(
        self, looping: bool, found: tuple[list[int], list[int]]
    ) -> None:
        codes, order = found
        told = self.story(looping, order, codes)
        self.wait(told)
        loops = looping
        for change in told.changes:
            docker = change.docker
            if docker is not None and docker.looping:
                loops = (loops or docker.news) and docker.event not in ("finish", "stop", "recovery")
        self.assertFalse(loops)


def task(number: int, code: int | None, status: str = "") -> Container:
    """The container of one of the tasks that follow each other in a slot: each is created, runs and ends within ten
    seconds, the first after START.

    Args:
        code: how it ended; None for one that did not.
    """
    at = START + 10 * (number - 1)
    return container(
        number,
        f"web.1.{'t' * 24}{number}",
        status or ("running" if code is None else "exited"),
        labels={"com.docker.swarm.service.id": "a" * 25, "com.docker.swarm.service.name": "web"},
        created=at * SECOND,
        started=0 if status == "created" else (at + 1) * SECOND,
        finished=0 if code is None else (at + 3) * SECOND,
        exit_code=code,
    )


SERVICES = {1: compose("web"), 2: compose("web"), 3: {}}
STEPS = st.lists(st.tuples(st.integers(0, 59), st.sampled_from(sorted(SERVICES))), min_size=4, max_size=40)

Lines = list[tuple[bytes, dict[str, Container]]]


def possible(known: Container | None) -> list[str]:
    """What can happen to a container next."""
    if known is None:
        return ["create"]
    if known.status == "running":
        return ["stop", "crash", "restart", "signal", "remove", "rename"]
    return ["start", "start", "remove", "rename", *(["fail"] if known.status == "created" else [])]


def history(steps: list[tuple[int, int]]) -> tuple[Truth, Lines]:
    """A believable life of some containers: the lines that an engine would send, each with the truth after it."""
    truth, lines = Truth(), Lines()
    born: dict[int, int] = {}
    for n, (choice, slot) in enumerate(steps):
        known = truth.containers.get(container_id(born.get(slot, 0)))
        choices = possible(known)
        if known is None:
            # An id never comes back.
            born[slot] = slot + 10 * (n + 1)
        name = known.name if known else f"c{slot}"
        for line in happen(choices[choice % len(choices)], born[slot], START + 10.0 * n, name, SERVICES[slot], known):
            truth.apply(line)
            lines.append((line, dict(truth.containers)))
    return truth, lines


def happen(
    action: str, number: int, at: float, name: str, labels: dict[str, str], known: Container | None
) -> list[bytes]:
    """The lines that go with it."""
    kill, destroy = event("kill", number, at, signal="15"), event("destroy", number, at + 0.3)
    die, start = event("die", number, at + 0.1, exitCode="1"), event("start", number, at + 0.2)
    running = known is not None and known.status == "running"
    return {
        "create": [event("create", number, at, **{"name": name, **labels})],
        "start": [start],
        "stop": [kill, die],
        "crash": [die],
        "restart": [kill, die, start],
        "signal": [kill],
        "remove": [kill, die, destroy] if running else [destroy],
        "rename": [event("rename", number, at, name=f"c{number}r{int(at)}")],
        "fail": [event("disconnect", 99, at, kind="network", container=container_id(number))],
    }[action]


def disorder(data: st.DataObject, count: int) -> list[int]:
    """In which order the lines come: some not at all, some twice, some late."""
    copies = data.draw(st.lists(st.sampled_from((1, 1, 1, 1, 0, 2)), min_size=count, max_size=count))
    delays = data.draw(st.lists(st.sampled_from((0, 0, 0, 2, 7, 30)), min_size=count, max_size=count))
    arriving = [(place + delays[place] * copy, place) for place in range(count) for copy in range(copies[place])]
    return [place for _, place in sorted(arriving)]


class PropertyTests(SynchronousTestCase):
    @searching(3)
    @given(STEPS, st.data())
    def test_whatever_is_lost_doubled_or_late_a_look_at_everything_ends_in_the_truth(
        self, steps: list[tuple[int, int]], data: st.DataObject
    ) -> None:
        truth, lines = history(steps)
        told = Told()
        furthest = 0
        for position in disorder(data, len(lines)):
            line, _ = lines[position]
            # What is looked at is always as new as the newest line that came, or newer.
            furthest = max(furthest, position)
            told.truth.containers = dict(lines[furthest][1])
            told.hear(line, look=position % 3 > 0)
        told.truth = truth
        end = START + 1e6
        told.resync(end)
        self.assert_told_is_true(told, end)
        assert_no_repeats(self, told)
        before = len(told.changes)
        told.resync(end + 1)
        self.assertEqual(len(told.changes), before)

    def assert_told_is_true(self, told: Told, now: float) -> None:
        states = {change.resource_uri: change.state for change in told.changes}
        alive = {known.container.id: known for known in told.registry.containers.values() if not known.destroyed}
        self.assertEqual(set(alive), set(told.truth.containers))
        for own, known in alive.items():
            self.assertEqual(known.container, told.truth.containers[own])
            self.assertEqual(states[known.uri], container_state(told.truth.containers[own], now))
        gone = {known.uri for known in told.registry.containers.values() if known.destroyed}
        self.assertEqual({states[uri] for uri in gone}, {"Terminated"} if gone else set())
        services = told.registry.groups.services.values()
        living = {known.place.service for known in alive.values()}
        self.assertEqual({one.uuid for one in services if states[one.uri] != "Terminated"}, living)
        stacks = told.registry.groups.stacks.values()
        housed = {known.place.stack for known in alive.values() if known.place.stack}
        self.assertEqual({one.uuid for one in stacks if states[one.uri] != "Terminated"}, housed)
        for one in (*services, *stacks):
            self.assertEqual(states[one.uri], one.state)

    @searching(2)
    @given(STEPS)
    def test_with_every_hint_in_order_each_container_goes_through_tutums_states(
        self, steps: list[tuple[int, int]]
    ) -> None:
        _, lines = history(steps)
        told = Told()
        for line, after in lines:
            told.truth.containers = dict(after)
            told.hear(line)
        follows = {
            "Starting": {"Running", "Stopped", "Terminated"},
            "Running": {"Stopping", "Stopped"},
            "Stopping": {"Stopped", "Running"},
            "Stopped": {"Running", "Terminated"},
        }
        paths: dict[str, list[str]] = {}
        for change in told.changes:
            path = paths.setdefault(change.resource_uri, []) if change.type == "container" else []
            # A container that moves to another service keeps its state.
            if path[-1:] != [change.state]:
                path.append(change.state)
        for path in paths.values():
            self.assertEqual(path[0], "Starting")
            for before, after_it in pairwise(path):
                self.assertIn(after_it, follows[before])
