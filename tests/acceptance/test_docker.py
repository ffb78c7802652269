"""A real Docker Engine's containers, in the words of the tutorial."""

import os
import re
import time
from collections.abc import Callable, Iterator

import pytest

from tests.acceptance.docker_engine import DockerEngine
from tests.acceptance.running_destinations import PAGERDUTY_V1, SLACK, RunningDestinations
from tests.acceptance.service import RunningService, Serve, until
from tests.running_tutum import RunningTutum

pytestmark = pytest.mark.acceptance

AT_ONCE = 1.0
"""Seconds between the return of `docker run` and the last word about it."""

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
CONTAINER = re.compile(rf"Your container was (\w+) on Tutum!\nCheck (/api/v1/container/{UUID}/) to see more details\.")
SERVICE = re.compile(r"A Service on Tutum was (\w+)\.\nIt belonged to the (\S+) Stack\.\nThe Stack state is: ([\w ]+)")


class Chat:
    """What Slack was told, in short."""

    def __init__(self, told: RunningDestinations) -> None:
        self._told = told

    def said(self) -> list[tuple[str, ...]]:
        """`(URI, action)` of a container, `(stack, action, the stack's state)` of a service; nothing else is said."""
        return [_read(body["text"]) for body in self._told.accepted(SLACK)]

    def of_containers(self) -> list[str]:
        """The actions of the one container that was told of."""
        found = [one for one in self.said() if one[0].startswith("/")]
        assert len({one[0] for one in found}) <= 1
        return [one[1] for one in found]

    def wait(self, look: Callable[[], bool], what: str) -> None:
        until(look, f"{what} in {self.said()}")

    def latest(self) -> float:
        """When the latest of it came, seconds since 1970."""
        return float(self._told.requests(SLACK)[-1]["at"])


def _read(text: str) -> tuple[str, ...]:
    if found := CONTAINER.fullmatch(text):
        return found[2], found[1]
    found = SERVICE.fullmatch(text)
    assert found, text
    return found[2], found[1], found[3]


def compose(project: str, number: int = 1, one_off: bool = False) -> tuple[str, ...]:
    """The labels that Compose gives a container of its service `web`."""
    labels = {"project": project, "service": "web", "container-number": number, "oneoff": one_off}
    return tuple(f"--label=com.docker.compose.{name}={value}" for name, value in labels.items())


@pytest.fixture
def name(engine: DockerEngine, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name for containers; those that have it, or begin with it, are removed afterwards."""
    unique = f"shop{os.getpid()}x{abs(hash(request.node.name)) % 10**6}"
    yield unique
    engine.remove(*engine.docker("ps", "-aq", "--filter", f"name={unique}").split())


@pytest.fixture
def service(engine: DockerEngine, serve: Serve) -> RunningService:
    """The service on the engine; it has connected."""
    running = serve("--docker", DOCKER_HOST=engine.host)
    running.wait_until_connected()
    return running


@pytest.fixture
def chat(told: RunningDestinations) -> Chat:
    return Chat(told)


def test_docker_run_is_in_slack_within_a_second_with_its_stacks_name_and_state(
    engine: DockerEngine, service: RunningService, chat: Chat, name: str
) -> None:
    engine.run(name, options=compose(name))
    returned = time.time()
    chat.wait(lambda: len(chat.said()) >= 4, "four messages")
    assert chat.latest() - returned < AT_ONCE
    first, created, started, last = chat.said()
    assert first[:2] == (name, "created")
    assert first[2] in ("Starting", "Running")
    assert (created[1], started[1], created[0]) == ("created", "updated", started[0])
    assert last == (name, "updated", "Running")


def test_a_container_is_told_from_run_to_rm(
    engine: DockerEngine, service: RunningService, chat: Chat, name: str
) -> None:
    engine.run(name, options=("--stop-timeout", "1"))
    chat.wait(lambda: chat.of_containers() == ["created", "updated"], "the start")
    engine.docker("stop", name)
    chat.wait(lambda: chat.of_containers() == ["created", "updated", "updated", "updated"], "the stop")
    engine.docker("rm", name)
    chat.wait(lambda: chat.of_containers()[4:] == ["deleted"], "the end")
    # A service without a stack is told to the log alone, and so is every stack.
    assert [one for one in chat.said() if not one[0].startswith("/")] == []
    service.wait_for_line("service:create:Starting:/api/v1/service/")
    service.wait_for_line("service:delete:Terminated:/api/v1/service/")


def test_the_states_of_a_stack_follow_its_containers(
    engine: DockerEngine, service: RunningService, chat: Chat, name: str
) -> None:
    def stack_is(state: str) -> bool:
        services = [one for one in chat.said() if one[0] == name]
        return bool(services) and services[-1][2] == state

    for number in (1, 2):
        engine.run(f"{name}-{number}", options=("--stop-timeout", "1", *compose(name, number)))
        chat.wait(lambda: stack_is("Running"), "Running")
    engine.docker("stop", f"{name}-1")
    chat.wait(lambda: stack_is("Partly running"), "Partly running")
    engine.docker("start", f"{name}-1")
    chat.wait(lambda: stack_is("Running"), "Running again")
    engine.remove(f"{name}-1", f"{name}-2")
    chat.wait(lambda: chat.said()[-1] == (name, "deleted", "Terminated"), "the end")
    service.wait_for_line("stack:delete:Terminated:/api/v1/stack/")


def test_a_one_off_command_of_a_compose_project_is_told_to_its_end(
    engine: DockerEngine, service: RunningService, chat: Chat, name: str
) -> None:
    engine.run(f"{name}-1", options=compose(name))
    chat.wait(lambda: len(chat.said()) == 4, "the start")
    engine.run(f"{name}-run", "true", options=("--rm", *compose(name, 1, one_off=True)))
    chat.wait(lambda: chat.said()[-1][:2] == (name, "deleted"), "the end of what ran once")
    later = [one for one in chat.said()[4:] if one[0].startswith("/")]
    assert len({one[0] for one in later}) == 1
    assert (later[0][1], later[-1][1]) == ("created", "deleted")
    # The stack goes on with what it had before.
    assert chat.said()[-1][2] == "Running"


def test_nobody_is_dialled_but_the_engine_and_the_destinations(
    service: RunningService, tutum: RunningTutum, told: RunningDestinations
) -> None:
    told.wait_for(PAGERDUTY_V1, 1)
    assert service.probe()[0] == 200
    assert service.terminate() == 0
    assert [one["event_type"] for one in told.accepted(PAGERDUTY_V1)] == ["resolve", "trigger"]
    assert tutum.requests() == []
