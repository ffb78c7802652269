"""A gateway that is killed while things happen on a real engine: what changed meanwhile is told, once."""

import json
import os
import shutil
import sqlite3
import subprocess
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.acceptance.docker_engine import DockerEngine
from tests.acceptance.running_destinations import SLACK, WEBHOOK, RunningDestinations
from tests.acceptance.service import TOKEN, TWISTD, USER, Serve, free_port, until
from tests.acceptance.test_old_clients import ready

pytestmark = pytest.mark.acceptance

BASIC = "Basic " + b64encode(f"{USER}:{TOKEN}".encode()).decode()

QUIET = 3.0
"""Seconds in which whatever is told twice, or falsely, would have come."""


class RunningGateway:
    """`twistd -n tutumgateway`, which may be killed and begun anew at the same place.

    Args:
        hosts: the engines, by their names.
    """

    def __init__(self, folder: Path, **hosts: str) -> None:
        self.port = free_port()
        self.log = folder / "gateway.log"
        self.state_dir = folder / "gateway-state"
        self._command = [
            *(str(TWISTD), "-n", "--pidfile=", "tutumgateway", "--state-dir", str(self.state_dir)),
            *("--listen", f"tcp:{self.port}:interface=127.0.0.1"),
            *(part for name, host in hosts.items() for part in ("--engine", f"{name}={host}")),
        ]
        own = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        self._environment = {**own, "HOME": str(folder), "TUTUM_USERNAME": USER, "TUTUM_TOKEN": TOKEN}
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, env=self._environment, stdout=log, stderr=log
            )
        until(lambda: ready(self.port), "gateway")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        assert self._process.wait(15) == 0

    def another(self) -> "subprocess.CompletedProcess[str]":
        """What becomes of a second one in the same folder, on another port."""
        command = [part.replace(f"tcp:{self.port}:", "tcp:0:") for part in self._command]
        return subprocess.run(
            command, cwd=self._folder, env=self._environment, capture_output=True, text=True, timeout=30, check=False
        )

    def kept(self) -> list[tuple[str, Any]]:
        """What is kept: kinds and values."""
        try:
            with closing(sqlite3.connect(f"file:{self.state_dir}/gateway.sqlite3?mode=ro", uri=True)) as connection:
                rows = connection.execute("SELECT kind, value FROM kept").fetchall()
        except sqlite3.OperationalError:
            return []
        return [(kind, json.loads(value)) for kind, value in rows]

    def states(self) -> set[tuple[str, str]]:
        """The states that are kept, each with its object's uuid: two engines of a swarm may know the same one."""
        return {(value["uuid"], value["state"]) for _, value in self.kept() if "uuid" in value and "state" in value}

    def keeps(self, client: "Listener", listening: int = 1) -> bool:
        """Whether it is kept what a client was told, that so many listen, and that nothing waits for them."""
        kinds = Counter(kind for kind, _ in self.kept())
        return client.states() <= self.states() and (kinds["seat"], kinds["missed"]) == (listening, 0)

    def get(self, path: str) -> Any:
        asked = Request(f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": BASIC})
        with urlopen(asked, timeout=5) as answer:
            return json.load(answer)


class Listener:
    """A client of the stream that comes back whenever it is cut off."""

    def __init__(self, port: int) -> None:
        self.events: list[dict[str, Any]] = []
        self.joined = 0
        self._url = f"ws://127.0.0.1:{port}/v1/events"
        self._ended = False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def states(self) -> set[tuple[str, str]]:
        """The state that each object was told last, with its uuid."""
        return set({uuid_of(event): event["state"] for event in list(self.events)}.items())

    def end(self) -> None:
        self._ended = True
        self._thread.join(10)

    def _listen(self) -> None:
        while not self._ended:
            with (
                suppress(OSError, WebSocketException),
                connect(self._url, additional_headers={"Authorization": BASIC}, proxy=None) as client,
            ):
                while not self._ended:
                    with suppress(TimeoutError):
                        event = json.loads(client.recv(timeout=0.2))
                        if event["type"] == "auth":
                            self.joined += 1
                        else:
                            self.events.append(event)
            time.sleep(0.1)


@pytest.fixture
def gateway(engine: DockerEngine, tmp_path: Path) -> Iterator[RunningGateway]:
    running = RunningGateway(tmp_path, one=engine.host)
    yield running
    running.kill()


@pytest.fixture
def names(engine: DockerEngine) -> Iterator[dict[str, str]]:
    """Containers that run, by what becomes of them; one that does not run starts."""
    own = {what: f"restart{os.getpid()}-{what}" for what in ("same", "stops", "goes", "starts", "new")}
    script = "while [ ! -e /stop ]; do sleep 0.05; done; exit 3"
    for what in ("same", "goes"):
        engine.run(own[what])
    engine.run(own["stops"], "sh", "-c", script)
    engine.docker("create", "--network", "none", "--name", own["starts"], "busybox:latest", "sleep", "300")
    yield own
    engine.remove(*own.values())


def changes(events: list[dict[str, Any]], uuids: dict[str, str]) -> Counter[tuple[str, str, str]]:
    """Whom, how and to which state: of all containers."""
    named = {f"/api/v1/container/{uuid}/": what for what, uuid in uuids.items()}
    return Counter(
        (named.get(one["resource_uri"], one["resource_uri"]), one["action"], one["state"])
        for one in events
        if one["type"] == "container"
    )


def test_what_changed_while_no_gateway_ran_is_told_once_to_all_who_come_back(
    engine: DockerEngine,
    gateway: RunningGateway,
    names: dict[str, str],
    serve: Serve,
    told: RunningDestinations,
) -> None:
    gateway.start()

    def uuids() -> dict[str, str]:
        found = {one["name"]: one["uuid"] for one in gateway.get("/api/v1/container/?limit=100")["objects"]}
        return {what: found[name] for what, name in names.items() if name in found}

    client = Listener(gateway.port)
    service = serve(
        TUTUM_STREAM_URL=f"ws://127.0.0.1:{gateway.port}/v1/",
        TUTUM_BASE_URL=f"http://127.0.0.1:{gateway.port}/api/v1/",
        PAGERDUTY_KEY="",
    )
    service.wait_for_line("objects are known")
    until(lambda: client.joined == 1, "client")
    before = uuids()
    until(lambda: gateway.keeps(client, 2), "word on disk of who listens")
    gateway.kill()
    # Its end may take this command with it.
    engine.docker("exec", names["stops"], "touch", "/stop", check=False)
    engine.docker("wait", names["stops"])
    engine.remove(names["goes"])
    engine.docker("start", names["starts"])
    engine.run(names["new"])
    gateway.start()
    expected = {
        ("stops", "update", "Stopped"): 1,
        ("goes", "delete", "Terminated"): 1,
        ("starts", "update", "Running"): 1,
        ("new", "create", "Starting"): 1,
        ("new", "update", "Running"): 1,
    }
    service.wait_until_connected(2, 60)
    until(lambda: client.joined == 2, "client")
    service.wait_for_line("without a stream: ", 30)
    time.sleep(QUIET)
    known = {**before, **uuids()}
    assert changes(client.events, known) == expected
    assert changes([body["data"] for body in told.accepted(WEBHOOK)], known) == expected
    said = Counter(body["text"].splitlines()[0] for body in told.accepted(SLACK) if "Your container" in body["text"])
    assert said == {
        f"Your container was {what} on Tutum!": n for what, n in (("created", 1), ("updated", 3), ("deleted", 1))
    }
    (crash,) = [one["docker"] for one in client.events if one["state"] == "Stopped" and one["type"] == "container"]
    assert (crash["event"], crash["exit_code"]) == ("crash", 3)
    shown = gateway.get(f"/api/v1/container/{known['stops']}/")
    assert (shown["state"], shown["exit_code"]) == ("Stopped", 3)
    assert gateway.get(f"/api/v1/container/{known['goes']}/")["state"] == "Terminated"

    # A polite restart, and one in which nothing happened.
    gateway.stop()
    engine.docker("kill", names["same"])
    for joined in (3, 4):
        gateway.start()
        until(lambda count=joined: client.joined == count, "client")  # type: ignore[misc]  # of this turn
        service.wait_until_connected(joined, 60)
        service.wait_for_line("without a stream: ", 30, joined - 1)
        time.sleep(QUIET)
        assert changes(client.events, known) == {**expected, ("same", "update", "Stopped"): 1}
        assert changes([body["data"] for body in told.accepted(WEBHOOK)], known) == {
            **expected,
            ("same", "update", "Stopped"): 1,
        }
        gateway.kill()
    client.end()


def test_a_state_that_is_in_use_or_of_no_use(engine: DockerEngine, gateway: RunningGateway) -> None:
    gateway.start()
    second = gateway.another()
    assert second.returncode == 1
    assert f"{gateway.state_dir}: is in use by another gateway (process " in second.stdout + second.stderr
    # After a kill SQLite would mend the file from its log.
    gateway.stop()
    (gateway.state_dir / "gateway.sqlite3").write_bytes(b"\0" * 10_000)
    gateway.start()
    assert "gateway.sqlite3.unusable now" in gateway.log.read_text()
    gateway.stop()


def test_a_state_that_is_deleted_is_written_anew_and_what_changed_after_a_kill_is_known(
    engine: DockerEngine, gateway: RunningGateway, names: dict[str, str]
) -> None:
    gateway.start()
    client = Listener(gateway.port)
    until(lambda: client.joined == 1, "client")
    shutil.rmtree(gateway.state_dir)
    until(lambda: "was deleted while it is in use" in gateway.log.read_text(), "word of it")
    until(gateway.kept, "all of it on disk")
    gateway.kill()
    engine.docker("kill", names["stops"])
    gateway.start()
    until(lambda: [one["state"] for one in client.events if one["type"] == "container"] == ["Stopped"], "its end", 30)
    gateway.stop()
    client.end()


def uuid_of(event: dict[str, Any]) -> str:
    """The object that an event is about."""
    return str(event["resource_uri"].split("/")[4])
