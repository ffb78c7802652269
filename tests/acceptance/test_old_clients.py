"""`twistd -n tutumgateway` as a user runs it, and the clients of 2015 and 2016 that talk to it, unmodified."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.acceptance.docker_engine import DockerEngine
from tests.acceptance.old_clients import OldClients, install
from tests.acceptance.service import free_port, until

pytestmark = pytest.mark.acceptance

BIN = Path(sys.executable).parent


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both kinds of old clients, which never change: they are left for later runs."""
    return install(tmp_path_factory.getbasetemp().parent / "old_clients")


@contextmanager
def tutumgateway(folder: Path, *options: str, **environment: str) -> Iterator[tuple[int, str, str]]:
    """Its port, and an account whose key stands in the file of users."""
    made = subprocess.run([BIN / "tutumstream", "gateway-user", "alice"], capture_output=True, text=True, check=True)
    users, port = folder / "users", free_port()
    users.write_text(made.stdout)
    command = [BIN / "twistd", "-n", "--pidfile=", "tutumgateway", "--listen", f"tcp:{port}:interface=127.0.0.1"]
    own = {name: value for name, value in os.environ.items() if not name.startswith(("TUTUM", "DOCKER_HOST"))}
    own["TUTUMGATEWAY_STATE_DIR"] = str(folder / "state")
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [*command, "--users", users, *options], cwd=folder, env={**own, **environment}, stdout=log, stderr=log
        ) as process,
    ):
        try:
            until(lambda: ready(port), "readiness", 20)
            yield port, "alice", made.stderr.strip().rpartition(" ")[2]
            process.terminate()
            assert process.wait(15) == 0
        finally:
            process.kill()


def ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_every_list_shows_the_scenario_and_one_may_look_but_not_touch(installed: Path, tmp_path: Path) -> None:
    with tutumgateway(tmp_path, "--scenario") as account:
        old = OldClients(installed, *account)
        until(lambda: "db-1" in old.tutum("container", "ps"), "the first container", 40)
        for kind, shown in (
            ("stack list", "shop"),
            ("service ps", "web"),
            ("node list", "node.tutum.io"),
            ("nodecluster list", "production"),
            ("action list", "Stack Start"),
            ("nodecluster region", "here"),
        ):
            assert shown in old.tutum(*kind.split()), kind
        assert "shop" in old.cloud("stack", "ls")
        assert "demo" in old.cloud("nodecluster", "ls") + old.cloud("nodecluster", "provider")
        with pytest.raises(AssertionError, match="read-only"):
            old.tutum("service", "stop", "web")


def test_docker_is_looked_at_read_followed_and_changed_by_both(
    engine: DockerEngine, installed: Path, tmp_path: Path
) -> None:
    name = f"old-{uuid4().hex[:8]}"
    engine.run(name, "sh", "-c", "trap 'exit 0' TERM; echo begun; n=0; while sleep 0.2; do echo $((n+=1)); done")
    allowed = ("--allow", "logs", "--allow", "control", "--engine", engine.host)
    try:
        with tutumgateway(tmp_path, *allowed) as account:
            old = OldClients(installed, *account)
            uuid = json.loads(old.tutum("container", "inspect", name))["uuid"]
            for identifier in (uuid, uuid[:8]):
                assert json.loads(old.tutum("container", "inspect", identifier))["name"] == name
            assert name in old.cloud("container", "ps")
            assert old.tutum("container", "logs", "--tail", "500", name).startswith("begun")
            assert f"{name} | " in old.cloud("service", "logs", "--tail", "3", name)
            with old.follow("cli/bin/tutum", "container", "logs", "-f", "--tail", "1", name) as following:
                assert following.stdout is not None
                lines = [int(following.stdout.readline()) for _ in range(3)]
                following.kill()
            assert lines == list(range(lines[0], lines[0] + 3))
            with old.follow("cloud/bin/docker-cloud", "event") as events:
                assert events.stdout is not None
                # Its connection is seen when something happens; a stop is.
                until(lambda: "connected from" in (tmp_path / "log").read_text(), "the stream's client")
                old.tutum("container", "stop", "--sync", name)
                heard = json.loads(events.stdout.readline())
                events.kill()
            assert heard["resource_uri"].startswith(("/api/audit/v1/action/", "/api/app/v1/container/"))
            assert heard["uuid"]
            assert engine.docker("inspect", "--format", "{{.State.Status}}", name) == "exited"
            old.cloud("container", "start", uuid)
            until(lambda: engine.docker("inspect", "--format", "{{.State.Running}}", name) == "true", "the start")
            until(lambda: "Container Stop" in old.tutum("action", "list"), "the action")
            old.tutum("container", "terminate", "--sync", name)
            assert engine.docker("ps", "-aq", "--filter", f"name={name}") == ""
    finally:
        engine.remove(name)
