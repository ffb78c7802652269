"""How fast and how small the gateway is before a busy engine: `python benchmarks/docker.py [OPTIONS]`.

A gateway as a user starts it, by twistd, watches the Docker Engine that DOCKER_HOST names, with `--clients` clients
that only listen. Then `--containers` containers are created, started, killed and removed as fast as the engine can, by
`--parallel` at once. Each has to be told whole: Starting, Running, Stopped, Terminated. The time from the engine's own
event to the arrival at one more client is what counts, which is the one in the middle; both are times of the same
clock. The others read only twenty times a second, as they stand for clients on other machines; with `--awake` they read
at once, and cost the same processors.

Beside it stands what two bare clients take (engine_peer.py): one that only reads the engine's stream, which is the
floor, and one that also asks for what started or died. What is left is the gateway's, and its waiting for a processor.

The engine needs an image `busybox`; its containers get no network.
"""

import argparse
import base64
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from listeners import CREDENTIALS
from parts import Part, busy, cpu, peak, waited

from tutumstream.gateway.docker.address import DEFAULT_HOST
from tutumstream.gateway.docker.identity import derived

TOLD = {"create": "Starting", "start": "Running", "die": "Stopped", "destroy": "Terminated"}
"""What has to follow from each of the engine's events."""

PATIENCE = 60


class Connection(http.client.HTTPConnection):
    """HTTP to a UNIX socket."""

    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


class Engine:
    """The engine, used by many threads."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._threads = threading.local()
        self.events: list[bytes] = []

    def ask(self, method: str, path: str, body: object = None) -> Any:
        if not hasattr(self._threads, "connection"):
            self._threads.connection = Connection(self._path)
        connection = self._threads.connection
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        raw = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {raw.decode()}")
        return json.loads(raw) if raw else None

    def listen(self) -> None:
        """Keep all events from now on, unread."""
        connection = Connection(self._path)
        connection.request("GET", '/events?filters={"type":["container"]}')
        answer = connection.getresponse()
        connection.sock.settimeout(None)

        def keep() -> None:
            while line := answer.readline():
                self.events.append(line)

        threading.Thread(target=keep, daemon=True).start()

    def live(self, name: str) -> str:
        """The whole life of a container; its id."""
        wanted = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}}
        own: str = self.ask("POST", f"/containers/create?name={name}", wanted)["Id"]
        self.ask("POST", f"/containers/{own}/start")
        self.ask("POST", f"/containers/{own}/kill")
        self.ask("POST", f"/containers/{own}/wait")
        self.ask("DELETE", f"/containers/{own}")
        return own


@contextmanager
def gateway(host: str, folder: str) -> Iterator[tuple[int, int]]:
    """A gateway; its process id and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user, key = CREDENTIALS
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile=", "tutumgateway"],
        env={
            **os.environ,
            "DOCKER_HOST": host,
            "TUTUM_USERNAME": user,
            "TUTUM_TOKEN": key,
            "TUTUMGATEWAY_LISTEN": f"tcp:{port}:interface=127.0.0.1",
            "TUTUMGATEWAY_STATE_DIR": folder,
            "TUTUMGATEWAY_LOG_LEVEL": "warn",
        },
        cwd=folder,
    )
    try:
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(20)


def wait_until_synced(port: int) -> None:
    """The gateway knows its objects."""
    login = base64.b64encode(":".join(CREDENTIALS).encode()).decode()
    for _ in range(PATIENCE * 10):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/api/v1/node/", headers={"Authorization": f"Basic {login}"})
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass  # It does not listen yet.
        finally:
            connection.close()
        time.sleep(0.1)
    raise SystemExit("the gateway does not start")


def told_of(report: dict[str, Any]) -> dict[tuple[str, str], float]:
    """When each state of each container arrived first, by its uuid."""
    arrived: dict[tuple[str, str], float] = {}
    for at, message in report["told"]:
        if message["type"] == "container":
            arrived.setdefault((message["resource_uri"].split("/")[-2], message["state"]), at)
    return arrived


def delays(events: list[bytes], arrived: dict[tuple[str, str], float]) -> Iterator[tuple[str, float]]:
    """Milliseconds from each of the engine's events to what was told by it."""
    for line in events:
        event = json.loads(line)
        state = TOLD.get(event["Action"])
        at = arrived.get((derived("container", event["Actor"]["ID"]), state or ""))
        if at is not None and state is not None:
            yield state, (at - event["timeNano"] / 1e9) * 1e3


def show(name: str, values: list[float]) -> None:
    values = sorted(values) or [float("nan")]
    p50, p95 = (values[min(int(len(values) * of), len(values) - 1)] for of in (0.5, 0.95))
    print(f"{name:<28} p50 {p50:6.1f}  p95 {p95:6.1f}  max {values[-1]:6.1f} ms")


Rows = list[tuple[str, float, float | None, float]]


def compare(found: list[tuple[str, float]], asking: Rows, mute: Rows) -> None:
    """What the gateway's client saw, and what the bare ones did, where one asks with its answers."""
    for action, state in TOLD.items():
        show(state, [delay for name, delay in found if name == state])
        show("  the stream itself", [whole for name, _, _, whole in mute if name == action])
        show("  and asking", [whole for name, _, _, whole in asking if name == action])
    show("all", [delay for _, delay in found])
    show("  the stream itself", [whole for name, _, _, whole in mute if name in TOLD])
    show("  and asking", [whole for name, _, _, whole in asking if name in TOLD])
    show("  asking only", [asked for name, _, asked, _ in asking if asked is not None])


def run(options: argparse.Namespace, path: str, folder: str) -> int:
    engine = Engine(path)
    recorder, idle = Part("listeners.py"), Part("listeners.py")
    asking, mute = Part("engine_peer.py", path), Part("engine_peer.py", path, "mute")
    with gateway(options.host, folder) as (pid, port):
        os.setpriority(os.PRIO_PROCESS, pid, options.nice)
        wait_until_synced(port)
        idle.ask("open", port, options.clients // 2)
        recorder.ask("open", port, 1)
        idle.ask("open", port, options.clients - options.clients // 2)
        print(f"gateway with {options.clients + 1} idle clients: {peak(pid):.0f} MiB at most")
        engine.listen()
        for peer in (asking, mute):
            peer.ask("listen")
        if not options.awake:
            idle.ask("doze")
        before, stood, (used_before, idle_before), begun = cpu(pid), waited(pid), busy(), time.monotonic()
        with ThreadPoolExecutor(options.parallel) as pool:
            names = [f"benchmark-{os.getpid()}-{number}" for number in range(options.containers)]
            ids = list(pool.map(engine.live, names))
        took, (used_after, idle_after) = time.monotonic() - begun, busy()
        used, stood = cpu(pid) - before, waited(pid) - stood
        wanted = {(derived("container", own), state) for own in ids for state in TOLD.values()}
        missing = wanted
        deadline = time.monotonic() + 10
        while missing and time.monotonic() < deadline:
            time.sleep(0.5)
            report = recorder.ask("report")
            missing = wanted - told_of(report).keys()
        found = list(delays(engine.events, told_of(report)))
        gone = report["lost"] + idle.ask("report")["lost"]
        print(f"{len(ids)} containers in {took:.1f} s: {len(engine.events)} events of the engine")
        print(
            f"{len(report['told'])} messages to {options.clients + 1} clients; missing: {len(missing)}; cut off: {gone}"
        )
        compare(found, asking.ask("report"), mute.ask("report"))
        print(
            f"gateway: {peak(pid):.0f} MiB at most, {used:.1f} s CPU ({used / took:.0%} of a core), "
            f"and {stood:.1f} s of waiting for one"
        )
        occupied = used_after - used_before
        print(f"the machine: {occupied / (occupied + idle_after - idle_before):.0%} busy")
    for part in (recorder, idle, asking, mute):
        part.end()
    return 1 if missing or gone else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="A gateway before a busy engine.")
    parser.add_argument("--host", default=os.environ.get("DOCKER_HOST", DEFAULT_HOST), help="a unix:// socket")
    parser.add_argument("--containers", type=int, default=200)
    parser.add_argument("--parallel", type=int, default=2, help="that live at the same time; try what is fastest")
    parser.add_argument("--clients", type=int, default=100, help="that only listen")
    parser.add_argument("--nice", type=int, default=0, help="of the gateway; below 0 it goes before the engine")
    parser.add_argument("--awake", action="store_true", help="they read at once what they are sent")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        return run(options, options.host.removeprefix("unix://"), folder)


if __name__ == "__main__":
    raise SystemExit(main())
