"""What is shown of a container to somebody who heard nothing of it is what was told when it came to that."""

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import START, Told, Truth, capture, compose, container, container_id, event
from tutumstream.docker_details import DockerDetails
from tutumstream.gateway.docker.facts import Options
from tutumstream.gateway.docker.resources import get_resource
from tutumstream.gateway.docker.runs import as_it_is, moment


class WhatEndedBetweenTwoLooks(SynchronousTestCase):
    """A run of a container that Docker starts again, of which the next look finds only the run after it."""

    def ends(self, *heard: bytes, **found: object) -> list[DockerDetails]:
        told, own, policy = Told(), container_id(1), {"options": {"autorestart": "ALWAYS"}}
        told.truth.containers[own] = container(started=int(START * 10**9), **policy)
        told.look(own, START)
        for line in heard:
            told.hear(line, look=False)
        told.truth.containers[own] = container(**policy, **{"started": int((START + 8) * 10**9), **found})
        told.look(own, START + 9)
        changes = [each for each in told.changes if (each.type, each.state) == ("container", "Stopped")]
        return [each.docker for each in changes if each.docker is not None]

    def test_is_what_was_heard_of_it(self) -> None:
        died, stopped = event("die", at=START + 5.0, exitCode="3"), event("kill", at=START + 4.0, signal="15")
        killed = event("die", at=START + 5.0, exitCode="137")
        for heard, happened, code, oom, second in (
            ([died], "crash", 3, False, 5),
            ([stopped, event("die", at=START + 5.0, exitCode="143")], "stop", 143, False, 5),
            ([event("oom", at=START + 3.0), event("die", at=START + 5.0, exitCode="137")], "crash", 137, True, 5),
            ([event("oom", at=START - 3.0), died], "crash", 3, False, 5),
            ([event("kill", at=START + 4.0, signal="9"), killed], "stop", 137, False, 5),
            # Of another run, or of none.
            ([event("kill", at=START - 4.0, signal="15"), died], "crash", 3, False, 5),
            ([event("kill", at=START - 4.0, signal="9"), killed], "crash", 137, False, 5),
            ([event("die", at=START - 5.0, exitCode="3")], "stop", None, False, 8),
            ([event("die", at=START + 8.5, exitCode="3")], "stop", None, False, 8),
            ([], "stop", None, False, 8),
        ):
            (end,) = self.ends(*heard)
            self.assertEqual((end.event, end.exit_code, end.oom_killed), (happened, code, oom))
            self.assertEqual((end.ran, end.time), (second, moment(int((START + second) * 10**9))))

    def test_are_as_many_ends_as_docker_started_it_again(self) -> None:
        died = event("die", at=START + 5.0, exitCode="3")
        (end,) = self.ends(died, restart_count=2)
        self.assertEqual((end.crashes, end.restarting), (2, True))
        # One that Docker counts already and that has not begun is no run.
        ends = self.ends(died, restart_count=3, status="restarting", exit_code=4, finished=int((START + 8.5) * 10**9))
        self.assertEqual([(each.exit_code, each.crashes) for each in ends], [(3, 2), (4, 3)])
        (end,) = self.ends(died)
        self.assertEqual((end.crashes, end.restarting), (1, False))


class WhatIsShown(SynchronousTestCase):
    def replayed(self, name: str, truth: Truth | None = None) -> None:
        """Compare after each line of a capture."""
        told, ends = Told(truth), 0
        for line in capture(name):
            told.replay(iter([line]))
            changes, told.changes = told.changes, []
            for change in changes:
                known = told.registry.find(change.resource_uri.split("/")[-2]) if change.type == "container" else None
                if known is None or known.state != "Stopped" or change.state != "Stopped" or change.docker is None:
                    continue
                shown, heard = as_it_is(known, "test"), change.docker
                ends += 1
                fields = ("event", "exit_code", "error", "oom_killed", "expected", "name", "node")
                of_crashes = ("looping", "crashes") if heard.event == "crash" else ()
                for field in (*fields, "restarting", "given_up", "ran", "health", "time", *of_crashes):
                    self.assertEqual(getattr(shown, field), getattr(heard, field), (field, name))
        self.assertGreater(ends, 0)

    def test_of_an_end_is_what_was_told_of_it(self) -> None:
        for name in ("01-run-stop-rm", "02-kill", "03-die-nonzero-and-zero", "04-oom", "05-failed-start-inspect"):
            self.replayed(f"{name}.jsonl")

    def test_in_a_crash_loop_says_so(self) -> None:
        truth = Truth()
        truth.restarts["r3"] = 3
        self.replayed("07-restart-policy.jsonl", truth)

    def test_of_what_ended_before_we_were_there_follows_from_the_exit_code(self) -> None:
        for code, happened in ((0, "finish"), (3, "crash"), (137, "stop"), (143, "stop")):
            told = Told()
            told.truth.containers[container_id(1)] = container(status="exited", exit_code=code, finished=START * 10**9)
            told.look(container_id(1), START + 5.0)
            told.registry.take_stock(START + 5.0)
            shown = self.shown(told)
            self.assertEqual((shown.event, shown.exit_code, shown.expected), (happened, code, happened != "crash"))

    def test_of_what_ended_and_could_not_be_started_since_is_why(self) -> None:
        for policy in ("ALWAYS", "OFF"):
            told = Told()
            told.truth.containers[container_id(1)] = container(
                status="exited",
                exit_code=0,
                finished=START * 10**9,
                error="no space left on device",
                options=msgspec.to_builtins(Options(autorestart=policy)),
            )
            told.look(container_id(1), START + 5.0)
            shown = self.shown(told)
            self.assertEqual((shown.event, shown.expected, shown.error), ("crash", False, "no space left on device"))
            self.assertEqual(shown.given_up, policy == "ALWAYS")

    def test_of_what_was_never_started_is_no_end(self) -> None:
        told = Told()
        told.truth.containers[container_id(1)] = container(status="created")
        told.look(container_id(1), START + 61.0)
        self.assertEqual((self.shown(told).event, self.shown(told).time), ("", ""))

    def test_of_an_end_that_was_no_crash_is_none_of_those_before_it(self) -> None:
        told = Told()
        own = container_id(1)
        for second, code in ((2.0, 3), (4.0, 0)):
            at = int((START + second) * 10**9)
            told.truth.containers[own] = container(started=at)
            told.look(own, START + second)
            told.truth.containers[own] = container(started=at, status="exited", exit_code=code, finished=at + 10**9)
            told.look(own, START + second + 1)
        shown = self.shown(told)
        self.assertEqual((shown.event, shown.crashes, shown.looping), ("finish", 0, False))

    def test_of_a_restart_policy_is_whether_it_goes_on(self) -> None:
        for given_up, facts in (
            (True, {"options": Options(autorestart="ON_FAILURE"), "retries": 4, "restart_count": 4}),
            (True, {"options": Options(autorestart="ON_FAILURE"), "retries": 1, "restart_count": 1}),
            (True, {"options": Options(), "restart_count": 4}),
            (False, {"options": Options(autorestart="ON_FAILURE"), "retries": 4, "restart_count": 3}),
            (False, {"options": Options(autorestart="ON_FAILURE"), "restart_count": 4}),
            (False, {"options": Options(autorestart="ALWAYS"), "restart_count": 4}),
            (False, {"options": Options(autorestart="ON_FAILURE"), "retries": 4, "restart_count": 4, "exit_code": 0}),
            (False, {"options": Options()}),
            (False, {"options": Options(), "restart_count": 4, "bare": True}),
            (False, {"options": Options(), "restart_count": 4, "status": "restarting"}),
        ):
            told = Told()
            ended = {"status": "exited", "exit_code": 3, "finished": START * 10**9, **facts}
            told.truth.containers[container_id(1)] = container(**msgspec.to_builtins(ended))
            told.look(container_id(1), START + 5.0)
            told.registry.take_stock(START + 5.0)
            self.assertEqual(self.shown(told).given_up, given_up, facts)

    def test_of_what_runs_is_how_it_does(self) -> None:
        told = Told()
        own = container_id(1)
        told.truth.containers[own] = container(health="healthy")
        told.look(own, START + 5.0)
        told.registry.take_stock(START + 5.0)
        self.assertEqual((self.shown(told).event, self.shown(told).health), ("start", "healthy"))
        told.truth.containers[own] = msgspec.structs.replace(told.truth.containers[own], health="unhealthy")
        told.look(own, START + 6.0)
        self.assertEqual((self.shown(told).event, self.shown(told).expected), ("unhealthy", False))
        told.replay(iter([event("kill", at=START + 7.0, signal="15")]))
        self.assertEqual(self.shown(told).event, "")

    def test_of_what_runs_after_crashes_is_how_often_it_crashed_and_since_when_it_runs(self) -> None:
        told = Told()
        own = container_id(1)
        for second in (0, 2, 4, 6):
            at = int((START + second) * 10**9)
            told.truth.containers[own] = container(started=at, health="healthy", restart_count=second // 2)
            told.look(own, START + second)
            if second < 6:
                told.truth.containers[own] = container(
                    started=at, status="exited", exit_code=3, finished=at + 10**9, restart_count=second // 2
                )
                told.look(own, START + second + 1)
                # What it was when it died.
                self.assertEqual((self.shown(told).event, self.shown(told).health), ("crash", "healthy"))
        shown = self.shown(told)
        self.assertEqual((shown.event, shown.crashes, shown.looping, shown.restart_count), ("start", 3, True, 3))
        self.assertEqual(shown.time, moment(int((START + 6) * 10**9)))

    def test_of_several_ends_between_two_looks_counts_each_once(self) -> None:
        first, last = int(START * 10**9), int((START + 6) * 10**9)
        ended = {"started": first, "exit_code": 3, "finished": first + 1}
        for before, restarts, crashes in (
            (container(started=first), 2, 3),
            (container(status="exited", **ended), 2, 3),
            (container(status="restarting", restart_count=1, **ended), 3, 4),
        ):
            told, own = Told(), container_id(1)
            told.truth.containers[own] = container(started=first)
            told.look(own, START)
            told.truth.containers[own] = before
            told.look(own, START + 1)
            told.truth.containers[own] = container(
                started=last, status="exited", exit_code=3, finished=last + 1, restart_count=restarts
            )
            told.look(own, START + 8)
            self.assertEqual(self.shown(told).crashes, crashes)

    def test_of_an_end_without_a_time_of_its_own_is_when_it_was_heard(self) -> None:
        told, own = Told(), container_id(1)
        told.replay(iter([event("create"), event("start", at=START + 2.0)]))
        told.replay(iter([event("die", at=START + 4.0, exitCode="3")]))
        told.truth.containers[own] = msgspec.structs.replace(told.truth.containers[own], finished=0)
        told.look(own, START + 5.0)
        self.assertEqual((self.shown(told).event, self.shown(told).time), ("crash", moment(int((START + 4) * 10**9))))

    def test_is_of_a_service_and_its_stack(self) -> None:
        told = Told()
        told.truth.containers[container_id(1)] = container(labels=compose("web", "shop"))
        told.look(container_id(1), START + 5.0)
        self.assertEqual((self.shown(told).service, self.shown(told).stack), ("web", "shop"))

    def test_has_times_in_milliseconds(self) -> None:
        self.assertEqual(moment(1_441_108_800_123_456_789), "2015-09-01T12:00:00.123Z")
        self.assertEqual(moment(0), "")

    def test_is_the_key_docker_of_the_resource(self) -> None:
        told = Told()
        told.truth.containers[container_id(1)] = container(status="exited", exit_code=3, finished=START * 10**9)
        told.look(container_id(1), START + 5.0)
        (known,) = told.registry.containers.values()
        found = get_resource(told.registry, "container", known.uuid) or {}
        self.assertEqual(found["docker"], as_it_is(known, "test").document())
        service = get_resource(told.registry, "service", known.place.service) or {}
        self.assertEqual(service["docker"]["name"], "web")

    def shown(self, told: Told) -> DockerDetails:
        (known,) = told.registry.containers.values()
        return as_it_is(known, "test")
