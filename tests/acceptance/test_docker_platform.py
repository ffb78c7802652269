"""The Docker platform on a real engine."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.docker_engine import DockerEngine, OwnEngine

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]
Line = dict[str, Any]
COMPOSE = tuple(
    f"--label=com.docker.compose.{label}"
    for label in ("project=shop", "service=web", "oneoff=False", "container-number=1")
)


class Watch:
    """A platform in a process of its own, and what it told so far."""

    def __init__(self, host: str, interval: float = 10.0, timeout: float = 5.0, **environment: str) -> None:
        self.lines: list[Line] = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.docker_watch", host, str(interval), str(timeout)],
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> "Watch":
        first = self.wait(lambda line: line["type"] in ("synced", "failed"))
        assert first["type"] == "synced", first
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(20) == 0

    def wait(self, wanted: Callable[[Line], bool], seconds: float = 20.0) -> Line:
        """The first line that is wanted, among all that came or come in time."""
        deadline, seen = time.monotonic() + seconds, 0
        with self._changed:
            while True:
                for line in self.lines[seen:]:
                    if wanted(line):
                        return line
                seen = len(self.lines)
                if not self._changed.wait(max(deadline - time.monotonic(), 0)):
                    raise AssertionError(f"not told within {seconds} s; told was: {self.words()}")

    def expect(self, *words: str, seconds: float = 20.0) -> Line:
        """Wait until something of this type, action, state and name is told."""
        return self.wait(lambda line: _words(line) == list(words), seconds)

    def words(self, name: str | None = None) -> list[str]:
        """What was told, in words; of one name only if it is given."""
        words = [_words(line) for line in list(self.lines) if "action" in line]
        return [" ".join(one[:3]) if name else " ".join(one) for one in words if name in (None, one[3])]

    def forget(self) -> None:
        with self._changed:
            self.lines.clear()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            with self._changed:
                self.lines.append(json.loads(text))
                self._changed.notify_all()


def _words(line: Line) -> list[str]:
    resource = line.get("resource") or {}
    name = resource.get("name") or resource.get("nickname") or resource.get("action")
    return [str(line.get(key)) for key in ("type", "action", "state")] + [str(name)]


@pytest.fixture
def name(engine: DockerEngine, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name for a container; whatever has it afterwards is removed."""
    unique = f"t{os.getpid()}-{abs(hash(request.node.name)) % 10**6}"
    yield unique
    engine.remove(unique)


def test_a_container_is_told_from_run_to_rm(engine: DockerEngine, name: str) -> None:
    with Watch(engine.host) as watch:
        engine.run(name, options=("--stop-timeout", "1"))
        watch.expect("service", "update", "Running", name)
        engine.docker("stop", name)
        stopped = watch.expect("container", "update", "Stopped", name)
        assert stopped["resource"]["exit_code"] == 137
        watch.expect("service", "update", "Stopped", name)
        watch.forget()
        engine.docker("start", name)
        watch.expect("service", "update", "Running", name)
        engine.docker("kill", name)
        watch.expect("service", "update", "Stopped", name)
        watch.forget()
        engine.docker("rm", name)
        deleted = watch.expect("service", "delete", "Terminated", name)
        assert deleted["resource"]["destroyed_datetime"]
        assert watch.words(name)[-2:] == ["container delete Terminated", "service delete Terminated"]


def test_docker_run_is_told_in_order_and_at_once(engine: DockerEngine, name: str) -> None:
    with Watch(engine.host) as watch:
        engine.run(name, options=COMPOSE)
        ended = time.time()
        service = watch.wait(lambda line: line["type"] == "service" and line["state"] == "Running")
        assert service["at"] - ended < 1.0
        watch.wait(lambda line: line["type"] == "stack" and line["state"] == "Running")
        told = [" ".join(_words(line)[:3]) for line in watch.lines if "action" in line]
        assert told[:6] == [
            "stack create Starting",
            "service create Starting",
            "container create Starting",
            "container update Running",
            "service update Running",
            "stack update Running",
        ]
        assert (service["stack"]["name"], service["parents"]) == ("shop", ["stack"])
        container = watch.expect("container", "update", "Running", name)
        assert container["parents"] == ["service", "node", "stack"]
        created = engine.docker("inspect", "--format", "{{.Created}}", name)
        assert watch.expect("container", "create", "Starting", name)["at"] - _seconds(created) < 0.5
        engine.remove(name)
        watch.expect("stack", "delete", "Terminated", "shop")


def _seconds(created: str) -> float:
    return datetime.fromisoformat(created).timestamp()


def test_two_containers_of_a_compose_service_are_one_service(engine: DockerEngine, name: str) -> None:
    other = f"{name}-2"
    try:
        with Watch(engine.host) as watch:
            engine.run(name, options=COMPOSE)
            engine.run(other, options=COMPOSE)
            watch.expect("container", "update", "Running", other)
            engine.docker("kill", other)
            part = watch.expect("service", "update", "Partly running", "web")
            assert part["resource"]["current_num_containers"] == 2
            assert [line["type"] for line in watch.lines if line.get("action") == "create"].count("service") == 1
    finally:
        engine.remove(other)


def test_exit_codes_are_the_real_ones(engine: DockerEngine, name: str) -> None:
    with Watch(engine.host) as watch:
        engine.run(name, "sh", "-c", "exit 5", options=("--label", "exitCode=0"))
        assert watch.expect("container", "update", "Stopped", name)["resource"]["exit_code"] == 5


def test_one_that_removes_itself_is_told_to_its_end(engine: DockerEngine, name: str) -> None:
    with Watch(engine.host) as watch:
        engine.run(name, "sh", "-c", "exit 3", options=("--rm",))
        gone = watch.expect("container", "delete", "Terminated", name)
        assert gone["resource"]["exit_code"] == 3
        states = [words.split()[2] for words in watch.words(name) if words.startswith("container")]
        assert [state for state in states if state != "Terminating"] == ["Starting", "Running", "Stopped", "Terminated"]


def test_one_that_can_not_start_does_not_stay_starting(engine: DockerEngine, name: str) -> None:
    with Watch(engine.host) as watch:
        engine.docker("run", "-d", "--network", "none", "--name", name, "busybox", "no-such-program", check=False)
        stopped = watch.expect("container", "update", "Stopped", name)
        assert stopped["resource"]["exit_code"] == 127
        assert "no-such-program" in stopped["resource"]["exit_code_msg"]
        assert "container update Running" not in watch.words(name)


def test_an_ignored_signal_is_no_end(engine: DockerEngine, name: str) -> None:
    with Watch(engine.host) as watch:
        engine.run(name, "sh", "-c", "trap : TERM HUP; while :; do sleep 0.1; done", options=("--stop-timeout", "0"))
        watch.expect("container", "update", "Running", name)
        engine.docker("kill", "--signal", "HUP", name)
        engine.docker("kill", "--signal", "TERM", name)
        watch.expect("container", "update", "Stopping", name)
        watch.forget()
        watch.expect("container", "update", "Running", name, seconds=25)


def test_what_runs_at_the_start_is_known_and_no_news(engine: DockerEngine, name: str) -> None:
    engine.run(name)
    with Watch(engine.host) as watch:
        assert name in watch.lines[0]["containers"]
        engine.docker("kill", name)
        watch.expect("service", "update", "Stopped", name)
        assert watch.words(name)[0] == "container update Stopping"


def test_a_socket_that_is_not_there_fails_the_start(tmp_path: Path) -> None:
    watch = Watch(f"unix://{tmp_path}/nothing.sock")
    failed = watch.wait(lambda line: line["type"] == "failed")
    assert "is Docker installed and started?" in failed["problem"]


def test_a_daemon_that_hangs_is_noticed_and_forgiven(own_engine: OwnEngine) -> None:
    own_engine.run("witness")
    with Watch(own_engine.host, interval=1.0, timeout=0.5) as watch:
        own_engine.signal(signal.SIGSTOP)
        watch.expect("node", "update", "Unreachable", "test", seconds=10)
        own_engine.signal(signal.SIGCONT)
        watch.expect("node", "update", "Deployed", "test", seconds=20)
        own_engine.docker("kill", "witness")
        watch.expect("service", "update", "Stopped", "witness")
        assert [words for words in watch.words() if "delete" in words] == []
    own_engine.remove("witness")


def test_a_restarted_daemon_deletes_nothing(own_engine: OwnEngine) -> None:
    own_engine.run("keep", options=("--restart", "always", "--stop-timeout", "1"))
    own_engine.run("plain", options=("--stop-timeout", "1", *COMPOSE))
    with Watch(own_engine.host, interval=1.0, timeout=1.0) as watch:
        own_engine.stop()
        watch.expect("node", "update", "Unreachable", "test")
        own_engine.start()
        watch.expect("node", "update", "Deployed", "test", seconds=40)
        watch.expect("container", "update", "Running", "keep")
        watch.expect("container", "update", "Stopped", "plain")
        own_engine.docker("start", "plain")
        watch.expect("container", "update", "Running", "plain")
        assert [words for words in watch.words() if "delete" in words or "create" in words] == []
        assert watch.words("keep").count("container update Running") == 1
    own_engine.remove("keep", "plain")


def test_a_killed_daemon_deletes_nothing(own_engine: OwnEngine) -> None:
    own_engine.run("orphan", options=("--stop-timeout", "1"))
    with Watch(own_engine.host, interval=1.0, timeout=1.0) as watch:
        own_engine.kill()
        watch.expect("node", "update", "Unreachable", "test")
        own_engine.start()
        watch.expect("node", "update", "Deployed", "test", seconds=40)
        watch.expect("container", "update", "Stopped", "orphan", seconds=30)
        assert [words for words in watch.words() if "delete" in words or "create" in words] == []
    own_engine.remove("orphan")


def test_none_is_lost_of_many_that_live_for_a_moment(engine: DockerEngine, name: str) -> None:
    names = [f"{name}-{number}" for number in range(24)]
    with Watch(engine.host) as watch:
        with ThreadPoolExecutor(4) as pool:
            done = [pool.submit(engine.run, one, "true", options=("--rm",)) for one in names]
        assert [one.exception() for one in done] == [None] * len(names)
        for one in names:
            watch.expect("container", "delete", "Terminated", one, seconds=60)
            states = [words.split()[2] for words in watch.words(one) if words.startswith("container")]
            assert [state for state in states if state != "Terminating"] == [
                "Starting",
                "Running",
                "Stopped",
                "Terminated",
            ]
