"""A real Podman in the place of a Docker Engine: what it says differently must mean the same to people."""

from collections.abc import Iterator
from subprocess import SubprocessError

import pytest

from tests.acceptance.docker_engine import EngineUnavailableError
from tests.acceptance.podman_engine import PodmanEngine
from tests.acceptance.running_destinations import WEBHOOK, RunningDestinations
from tests.acceptance.service import Serve
from tests.acceptance.test_problems import People

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def podman() -> Iterator[PodmanEngine]:
    own = PodmanEngine()
    try:
        own.start()
        own.load_image()
        own.run("probe", "true")
    except (EngineUnavailableError, SubprocessError, AssertionError) as problem:
        own.destroy()
        pytest.skip(str(problem))
    own.remove("probe")
    yield own
    own.destroy()


@pytest.fixture
def people(podman: PodmanEngine, serve: Serve, told: RunningDestinations) -> People:
    running = serve("--docker", DOCKER_HOST=podman.host, TUTUMSTREAM_ROUTES="problems")
    running.wait_until_connected()
    return People(told)


def test_a_crash_is_told_and_a_stop_is_not(podman: PodmanEngine, people: People) -> None:
    for name in ("stopped", "killed"):
        podman.run(name)
    podman.docker("stop", "-t", "1", "stopped")
    podman.docker("kill", "killed")
    podman.docker("start", "killed")
    podman.docker("restart", "-t", "1", "killed")
    podman.run("done", "true")
    podman.docker("rm", "-f", "stopped", "killed")
    podman.run("crashed", "sh", "-c", "exit 3")
    people.heard(lambda: people.said() == ["crashed crashed: exit 3"])
    people.heard(lambda: people.happened("killed")[-1:] == ["remove"])
    assert people.happened("stopped") == ["create", "start", "stop", "remove"]
    assert people.happened("killed") == ["create", "start", "stop", "start", "stop", "start", "stop", "remove"]
    people.heard(lambda: people.happened("done") == ["create", "start", "finish"])
    podman.remove("done", "crashed")


def test_what_its_restart_policy_does_is_nobodys_action(
    podman: PodmanEngine, people: People, told: RunningDestinations
) -> None:
    podman.run("loop", "sh", "-c", "sleep 0.3; exit 1", options=("--restart", "on-failure:2"))
    last = "loop crashed: exit 1, 3rd time in 10 minutes. Docker has given up starting it again"
    people.heard(lambda: people.said()[-1:] == [last])
    people.heard(lambda: people.happened("loop") == ["create", *["start", "crash"] * 3])
    assert [body["type"] for body in told.accepted(WEBHOOK) if "action" in body["type"]] == []
    podman.run("other")
    podman.docker("restart", "-t", "1", "other")
    people.heard(lambda: any("action" in body["type"] for body in told.accepted(WEBHOOK)))
    podman.remove("loop", "other")
