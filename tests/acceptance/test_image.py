"""The image, really built and run."""

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.acceptance.docker_engine import DockerEngine
from tests.acceptance.service import until

pytestmark = pytest.mark.acceptance

LOCKED = ("--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
"""How the tests run it; without a bridge there is still the loopback, and the demo needs no more."""


class Containers:
    """Containers of one image, which share a volume for the state."""

    def __init__(self, engine: DockerEngine, image: str) -> None:
        self._engine = engine
        self._image = image
        self._names: list[str] = []
        self._volume = f"tutumstream-tests-{uuid.uuid4().hex[:12]}"

    def run(self, *arguments: str, **environment: str) -> str:
        """`docker run --detach`; the container's name."""
        name = f"{self._volume}-{len(self._names)}"
        self._names.append(name)
        variables = [part for key, value in environment.items() for part in ("--env", f"{key}={value}")]
        state = ("--volume", f"{self._volume}:/var/lib/tutumstream", "--health-interval", "1s")
        self._engine.docker("run", "--detach", "--name", name, *LOCKED, *state, *variables, self._image, *arguments)
        return name

    def until(self, name: str, look: Callable[[str], object], what: str, timeout: float = 20) -> None:
        """Wait until `look` gives something true for the container; a failure shows what it wrote."""
        try:
            until(lambda: look(name), what, timeout)
        except AssertionError as problem:
            raise AssertionError(f"{problem}; it wrote: {self.log(name)[-20:]}") from None

    def says(self, name: str, *parts: str) -> None:
        """Wait for a sentence with all these parts."""
        self.until(
            name, lambda _: [line for line in self.log(name) if all(part in line for part in parts)], repr(parts)
        )

    def state(self, name: str) -> Any:
        return json.loads(self._engine.docker("inspect", "--format", "{{json .State}}", name))

    def log(self, name: str) -> list[str]:
        """Its sentences so far."""
        return [json.loads(line)["event"] for line in self._engine.docker("logs", name).splitlines()]

    def stop(self, name: str) -> int:
        """`docker stop`; the exit status."""
        self._engine.docker("stop", "--time", "20", name)
        status: int = self.state(name)["ExitCode"]
        return status

    def remove(self) -> None:
        """All of them, and the volume."""
        self._engine.remove(*self._names)
        self._engine.docker("volume", "rm", "--force", self._volume)


@pytest.fixture
def containers(engine: DockerEngine, image: str) -> Iterator[Containers]:
    """Gone after the test."""
    made = Containers(engine, image)
    yield made
    made.remove()


def test_the_demo_tells_is_healthy_and_stops_politely_on_a_read_only_file_system(containers: Containers) -> None:
    demo = containers.run("--demo")
    containers.says(demo, "[slack] ")
    containers.until(demo, lambda name: containers.state(name)["Health"]["Status"] == "healthy", "health", timeout=40)
    assert containers.stop(demo) == 0
    containers.says(demo, "Tutum Stream connection closed.")


def test_the_same_image_is_a_gateway_with_another_entry_point(engine: DockerEngine, image: str) -> None:
    name = f"tutumstream-tests-gateway-{uuid.uuid4().hex[:8]}"
    account = ("--env", "TUTUM_USERNAME=alice", "--env", "TUTUM_TOKEN=k3y", "--entrypoint", "twistd")
    arguments = ("-n", "--pidfile=", "tutumgateway", "--scenario")
    engine.docker("run", "--detach", "--name", name, *LOCKED, *account, image, *arguments)
    try:
        until(lambda: "Serving at 127.0.0.1:8780" in engine.docker("logs", name), "the gateway", 20)
        engine.docker("stop", "--time", "10", name)
        assert engine.docker("inspect", "--format", "{{.State.ExitCode}}", name) == "0"
    finally:
        engine.remove(name)


def test_what_was_not_delivered_is_in_the_volume_for_the_next_container(containers: Containers) -> None:
    # Nobody listens on these ports, in a network of its own.
    nowhere = {
        "TUTUM_USERNAME": "alice",
        "TUTUM_TOKEN": "k3y",
        "TUTUM_STREAM_HOST": "ws://127.0.0.1:9",
        "PAGERDUTY_KEY": "key-of-nobody",
        "PAGERDUTY_URL": "http://127.0.0.1:9/",
    }
    first = containers.run(**nowhere)
    containers.says(first, "pagerduty", "http://127.0.0.1:9")
    assert containers.stop(first) == 0
    second = containers.run(**nowhere)
    containers.says(second, " still to be delivered")
    assert containers.stop(second) == 0


def test_without_settings_it_says_what_to_set_and_fails(containers: Containers, engine: DockerEngine) -> None:
    container = containers.run()
    containers.until(container, lambda name: containers.state(name)["Status"] == "exited", "end")
    assert containers.state(container)["ExitCode"] == 1
    done = subprocess.run(
        ["docker", "--host", engine.host, "logs", container], capture_output=True, text=True, timeout=60, check=True
    )
    assert "tutumstream: no credentials: set " in done.stderr


def test_it_is_nobody_with_a_number_and_brings_nothing_to_install_with(engine: DockerEngine, image: str) -> None:
    config = json.loads(engine.docker("inspect", "--format", "{{json .Config}}", image))
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["twistd", "-n", "--pidfile=", "tutumstream"]
    assert list(config["Volumes"]) == ["/var/lib/tutumstream"]
    look = "import importlib.util as u, os; print(os.getuid(), u.find_spec('pip'), os.path.exists('/src'))"
    assert engine.docker("run", "--rm", *LOCKED, "--entrypoint", "python", image, "-c", look) == "10001 None False"


def test_the_plugins_were_found_while_it_was_built(engine: DockerEngine, image: str) -> None:
    program = "import twisted.plugins as p; print([d for d in p.__path__])"
    places = engine.docker("run", "--rm", *LOCKED, "--entrypoint", "python", image, "-c", program)
    assert "/opt/tutumstream/" in places
    done = subprocess.run(
        ["docker", "--host", engine.host, "run", "--rm", *LOCKED, "--entrypoint", "twistd", image, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "tutumstream" in done.stdout
    assert "plugin cache" not in done.stdout + done.stderr
