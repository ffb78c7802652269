"""The rules of `deploy/gateway/haproxy.cfg`, in a real HAProxy, between the gateway and a real engine."""

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.docker_engine import DockerEngine, EngineUnavailableError, installed
from tests.acceptance.service import until
from tests.acceptance.test_old_clients import tutumgateway

pytestmark = pytest.mark.acceptance

RULES = Path(__file__).parents[2] / "deploy" / "gateway" / "haproxy.cfg"


@contextmanager
def proxied(engine: DockerEngine, folder: Path, *, everything: bool) -> Iterator[str]:
    """The socket of a proxy with these rules; with everything that they name, where that is wanted."""
    try:
        haproxy = shutil.which("haproxy") or installed("haproxy", "haproxy")
    except EngineUnavailableError as problem:
        pytest.skip(str(problem))
    rules, socket = RULES.read_text(), folder / "proxy.sock"
    assert rules.count("#http-request") == 4
    if everything:
        rules = rules.replace("#http-request", "http-request")
    rules = rules.replace("/run/docker-proxy/docker.sock", str(socket))
    rules = rules.replace("/var/run/docker.sock", engine.host.removeprefix("unix://"))
    (folder / "haproxy.cfg").write_text(rules)
    with subprocess.Popen([haproxy, "-db", "-f", folder / "haproxy.cfg"], stderr=subprocess.PIPE, text=True) as process:
        try:
            until(socket.exists, "the proxy")
            yield f"unix://{socket}"
        finally:
            process.terminate()


def curl(socket: str, method: str, path: str) -> int:
    """The status of an answer."""
    asked = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "5", "-X", method]
    done = subprocess.run(
        [*asked, "--path-as-is", "--unix-socket", socket.removeprefix("unix://"), f"http://x{path}"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return int(done.stdout)


def test_only_what_the_gateway_asks_for_comes_through(engine: DockerEngine, tmp_path: Path) -> None:
    own = engine.run("guarded")
    try:
        with proxied(engine, tmp_path, everything=False) as socket:
            for method, path, code in (
                ("GET", "/_ping", 200),
                ("GET", "/v1.41/info", 200),
                ("GET", f"/v1.41/containers/{own}/json", 200),
                ("GET", f"/v1.41/containers/{own}/logs?stdout=1", 403),
                ("POST", f"/v1.41/containers/{own}/stop", 403),
                ("DELETE", f"/v1.41/containers/{own}", 403),
                ("POST", "/v1.41/containers/create", 403),
                ("POST", f"/v1.41/containers/{own}/exec", 403),
                ("GET", f"/v1.41/containers/{own}/archive?path=/etc", 403),
                ("GET", "/v1.41/info/../secrets", 403),
                ("GET", "/v1.41/secrets", 403),
                ("HEAD", "/_ping", 403),
            ):
                assert curl(socket, method, path) == code, (method, path)
            assert engine.docker("inspect", "--format", "{{.State.Running}}", "guarded") == "true"
    finally:
        engine.remove("guarded")


def test_the_gateway_sees_reads_and_changes_what_it_may_through_the_proxy(engine: DockerEngine, tmp_path: Path) -> None:
    engine.run("behind", "sh", "-c", "trap 'exit 0' TERM; echo here; while sleep 0.1; do :; done")
    try:
        allowed = ("--allow", "logs", "--allow", "control", "--engine")
        with (
            proxied(engine, tmp_path, everything=True) as socket,
            tutumgateway(tmp_path, *allowed, f"local={socket}") as (port, user, key),
        ):

            def ask(path: str, method: str = "GET") -> dict[str, object]:
                url = f"http://127.0.0.1:{port}/api/v1/{path}user={user}&token={key}"
                with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
                    found: dict[str, object] = json.loads(answer.read())
                    return found

            (shown,) = ask("container/?name=behind&")["objects"]  # type: ignore[misc]  # of a list
            assert shown["state"] == "Running"
            path = f"container/{shown['uuid']}/"
            assert ask(f"{path}stop/?", "POST")["state"] == "Stopping"
            with pytest.raises(urllib.error.HTTPError) as refused:
                ask(f"{path}stop/?", "POST")
            assert refused.value.code == 409
            until(lambda: ask(f"{path}?")["state"] == "Stopped", "the stop")
            found = ask(f"{path}?")["docker"]
            assert isinstance(found, dict)
            assert (found["event"], found["exit_code"], found["expected"]) == ("stop", 0, True)
    finally:
        engine.remove("behind")


def test_docker_itself_takes_the_stack_file(engine: DockerEngine) -> None:
    command = ["docker", "--host", engine.host, "stack", "config", "--compose-file", RULES.with_name("stack.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "unknown" in done.stderr or "is not a docker command" in done.stderr:
        pytest.skip("this docker has no `stack config`")
    assert done.returncode == 0, done.stderr
    assert "haproxy.cfg" in done.stdout
