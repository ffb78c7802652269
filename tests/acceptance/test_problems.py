"""What people hear of a real Docker Engine with `TUTUMSTREAM_ROUTES=problems`: what went wrong, and nothing else."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.docker_engine import DockerEngine
from tests.acceptance.running_destinations import PAGERDUTY_V1, SLACK, WEBHOOK, RunningDestinations
from tests.acceptance.service import RunningService, Serve, until

pytestmark = pytest.mark.acceptance

AT_ONCE = 1.0
"""Seconds from the end of a container to the word of it."""

HEALTH = (
    *("--health-cmd", "test -f /well", "--health-interval", "0.5s"),
    *("--health-retries", "1", "--health-timeout", "5s"),
)


class People:
    """What they were told."""

    def __init__(self, told: RunningDestinations) -> None:
        self._told = told

    def said(self) -> list[str]:
        return [body["text"] for body in self._told.accepted(SLACK)]

    def pages(self) -> list[tuple[str, str]]:
        """What was done to incidents, without that of our own connection."""
        found = [
            (one["event_type"], one["incident_key"].partition("/")[0]) for one in self._told.accepted(PAGERDUTY_V1)
        ]
        return [one for one in found if one[1] != "tutum-stream"]

    def heard(self, what: Callable[[], bool], seconds: float = 15.0) -> None:
        until(what, f"what was waited for in {self.said()} and {self.pages()}", seconds)

    def happened(self, name: str) -> list[str]:
        """Docker's words about a container: the webhook gets everything."""
        details = [body["data"].get("docker", {}) for body in self._told.accepted(WEBHOOK)]
        return [one["event"] for one in details if one.get("name") == name and "event" in one]


@pytest.fixture
def name(engine: DockerEngine, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name for containers; those that have it, or begin with it, are removed afterwards."""
    unique = f"web{os.getpid()}x{abs(hash(request.node.name)) % 10**6}"
    yield unique
    engine.remove(*engine.docker("ps", "-aq", "--filter", f"name={unique}").split())


@pytest.fixture
def service(engine: DockerEngine, serve: Serve) -> RunningService:
    """The service on the engine; it has connected."""
    running = serve("--docker", DOCKER_HOST=engine.host, TUTUMSTREAM_ROUTES="problems")
    running.wait_until_connected()
    return running


@pytest.fixture
def people(told: RunningDestinations, service: RunningService) -> People:
    return People(told)


def test_a_crash_is_told_within_a_second_and_a_stop_is_not(engine: DockerEngine, people: People, name: str) -> None:
    engine.run(f"{name}-stopped", options=("--stop-timeout", "1"))
    engine.docker("stop", f"{name}-stopped")
    engine.run(f"{name}-killed", "sleep", "300")
    engine.docker("kill", f"{name}-killed")
    engine.docker("restart", f"{name}-killed")
    engine.run(f"{name}-done", "true")
    engine.docker("rm", "-f", f"{name}-killed", f"{name}-stopped")
    engine.run(f"{name}-crashed", "sh", "-c", "exit 3")
    returned = time.time()
    people.heard(lambda: people.said() == [f"{name}-crashed crashed: exit 3"])
    assert time.time() - returned < AT_ONCE
    # The machines got all of it.
    people.heard(lambda: people.happened(f"{name}-stopped")[-2:] == ["stop", "remove"])
    assert people.happened(f"{name}-killed") == ["create", "start", "stop", "start", "stop", "remove"]
    people.heard(lambda: people.happened(f"{name}-done")[-1:] == ["finish"])
    assert people.said() == [f"{name}-crashed crashed: exit 3"]


def test_a_container_that_can_not_be_started_says_why(engine: DockerEngine, people: People, name: str) -> None:
    engine.docker("run", "-d", "--network", "none", "--name", name, "busybox", "no-such-program", check=False)
    people.heard(lambda: len(people.said()) == 1)
    (said,) = people.said()
    assert said.startswith(f"{name} could not be started: ")
    assert "no-such-program" in said


def test_a_death_for_want_of_memory_says_so(engine: DockerEngine, people: People, name: str) -> None:
    script = "x=a; while :; do x=$x$x; done"
    limits = ("--memory", "16m", "--memory-swap", "16m")
    if not memory_is_limited(engine, name, limits):
        pytest.skip("this kernel or engine does not limit the memory of a container")
    engine.run(name, "sh", "-c", script, options=limits)
    people.heard(lambda: bool(people.said()))
    assert people.said() == [f"{name} crashed: exit 137, out of memory"]


def memory_is_limited(engine: DockerEngine, name: str, limits: tuple[str, ...]) -> bool:
    """Whether the kernel takes the limit at all."""
    probe = f"{name}-probe"
    try:
        engine.run(probe, options=limits)
        pid = engine.docker("inspect", "--format", "{{.State.Pid}}", probe)
        groups = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        memory = [line.split(":")[2] for line in groups if line.split(":")[1] in ("", "memory")]
        return any(
            (root / group.strip("/") / limit).is_file()
            and (root / group.strip("/") / limit).read_text() == "16777216\n"
            for group in memory
            for root, limit in (
                (Path("/sys/fs/cgroup"), "memory.max"),
                (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
            )
        )
    except (AssertionError, OSError):
        return False
    finally:
        engine.remove(probe)


def test_twenty_crashes_are_one_alarm_and_one_recovery(engine: DockerEngine, people: People, name: str) -> None:
    # Docker itself would take ten minutes for as many.
    engine.run(name, "sh", "-c", "test -f /well && exec sleep 300; exit 7")
    for _ in range(19):
        engine.docker("wait", name)
        engine.docker("start", name)
    engine.docker("wait", name)
    people.heard(lambda: people.happened(name).count("crash") == 20)
    alarms = [text for text in people.said() if "again and again" in text]
    assert [text.partition(".")[0] for text in alarms] == [f"{name} crashed: exit 7, 3rd time in 10 minutes"]
    assert len(people.said()) == 3
    assert people.pages() == [("trigger", "crash-loop-")]
    engine.docker("cp", "/etc/hostname", f"{name}:/well")
    engine.docker("start", name)
    people.heard(lambda: len(people.pages()) == 2, 60.0)
    assert people.pages() == [("trigger", "crash-loop-"), ("resolve", "crash-loop-")]
    people.heard(lambda: len(people.said()) == 4)
    assert people.said()[-1].startswith(f"{name} runs again, for 3")
    assert people.said()[-1].endswith("after 20 crashes")


def test_a_restart_policy_that_gives_up_is_one_alarm_until_the_container_is_removed(
    engine: DockerEngine, people: People, name: str
) -> None:
    engine.run(name, "sh", "-c", "exit 7", options=("--restart", "on-failure:4"))
    people.heard(lambda: people.happened(name).count("crash") == 5)
    people.heard(lambda: len(people.said()) == 3)
    assert [text.partition(".")[0] for text in people.said()] == [
        f"{name} crashed: exit 7",
        f"{name} crashed: exit 7, 3rd time in 10 minutes",
        f"{name} crashed: exit 7, 5th time in 10 minutes",
    ]
    assert [text.partition(". ")[2] for text in people.said()[1:]] == [
        "It crashes again and again; the next word comes when that is over",
        "Docker has given up starting it again",
    ]
    engine.remove(name)
    people.heard(lambda: people.pages()[-1:] == [("resolve", "crash-loop-")])
    assert people.pages() == [("trigger", "crash-loop-")] * 2 + [("resolve", "crash-loop-")]
    people.heard(lambda: len(people.said()) == 4)
    assert people.said()[-1] == f"{name} was removed, after 5 crashes"


def test_a_crash_loop_that_is_stopped_while_nobody_listens_is_over(
    engine: DockerEngine, people: People, service: RunningService, name: str
) -> None:
    engine.run(name, "sh", "-c", "exit 7", options=("--restart", "always"))
    people.heard(lambda: people.pages() == [("trigger", "crash-loop-")])
    service.kill_at_rest()
    engine.docker("stop", name)
    service.start()
    people.heard(lambda: people.pages() == [("trigger", "crash-loop-"), ("resolve", "crash-loop-")])
    people.heard(lambda: len(people.said()) == 4)
    assert people.said()[-1].startswith(f"{name} was stopped")


def test_illness_and_recovery_are_told_once_each(engine: DockerEngine, people: People, name: str) -> None:
    engine.run(name, "sh", "-c", "touch /well; exec sleep 300", options=HEALTH)
    people.heard(lambda: "healthy" in people.happened(name))
    assert people.said() == []
    engine.docker("exec", name, "rm", "/well")
    people.heard(lambda: people.said() == [f"{name} is unhealthy"])
    engine.docker("exec", name, "touch", "/well")
    people.heard(lambda: people.said() == [f"{name} is unhealthy", f"{name} is healthy again"])
    # It did not last long enough to wake anybody.
    assert people.pages() == []


def test_illness_just_after_a_start_is_told_though_the_container_came_while_nobody_listened(
    engine: DockerEngine, people: People, service: RunningService, name: str
) -> None:
    service.wait_for_line("objects are known")
    service.kill_at_rest()
    engine.run(name, "sh", "-c", "touch /well; exec sleep 300", options=HEALTH)
    service.start()
    people.heard(lambda: "start" in people.happened(name) or "healthy" in people.happened(name))
    engine.docker("exec", name, "rm", "/well")
    people.heard(lambda: f"{name} is unhealthy" in people.said())
