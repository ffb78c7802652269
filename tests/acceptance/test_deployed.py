"""The files of `deploy/` that start several containers, started whole, until a message arrives at a sink.

The proxy's image is a stand-in of the same name: the HAProxy of this machine. Debian's Compose knows no `name:`.
"""

import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from tarfile import open as open_tar

import pytest

from tests.acceptance.docker_engine import DockerEngine, EngineUnavailableError, OwnEngine, installed
from tests.acceptance.service import free_port, until

pytestmark = pytest.mark.acceptance

DEPLOY = Path(__file__).parents[2] / "deploy"
PROXY = "haproxy:3.0"


@pytest.fixture(scope="module")
def proxy(engine: DockerEngine) -> None:
    """Its image, which is not to be pulled."""
    if engine.docker("images", "-q", PROXY):
        return
    try:
        haproxy = shutil.which("haproxy") or installed("haproxy", "haproxy")
    except EngineUnavailableError as problem:
        pytest.skip(str(problem))
    linked = subprocess.run(["ldd", haproxy], capture_output=True, text=True, check=True).stdout
    files = BytesIO()
    with open_tar(fileobj=files, mode="w", dereference=True) as archive:
        for path in (haproxy, *re.findall(r"/\S+", linked)):
            archive.add(path, path.lstrip("/"))
    start = f'ENTRYPOINT ["{haproxy}", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]'
    subprocess.run(
        ["docker", "--host", engine.host, "import", "--change", start, "-", PROXY],
        input=files.getvalue(),
        capture_output=True,
        check=True,
    )


class Sink:
    """A Slack that is reached from the networks of containers, and what it was told; it is PagerDuty, too."""

    def __init__(self) -> None:
        self.told: list[str] = []
        told = self.told

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if self.path == "/slack":
                    told.append(body)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - its name
                """What came is kept, and nothing else is said about it."""

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
            try:
                # Nothing is sent: it only asks which address leads out of here.
                route.connect(("192.0.2.1", 9))
            except OSError as problem:
                pytest.skip(f"this machine has no address but its own: {problem}")
            address = route.getsockname()[0]
        self._server = ThreadingHTTPServer((address, 0), Answer)
        self.origin = f"http://{address}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    one = Sink()
    yield one
    one.close()


@pytest.fixture
def folder(engine: DockerEngine, image: str, sink: Sink, tmp_path: Path) -> Path:
    """`deploy/` for this engine, with its secrets."""
    deploy = tmp_path / "deploy"
    shutil.copytree(DEPLOY, deploy)
    own_socket = engine.host.removeprefix("unix://")
    for file in deploy.rglob("*.yaml"):
        text = file.read_text().replace("- /var/run/docker.sock:", f"- {own_socket}:")
        text = re.sub(r"^name: .*", "", text, flags=re.MULTILINE)
        text = text.replace("image: tutumstream\n", f"image: {image}\n").replace('"127.0.0.1:8780:', f'"{free_port()}:')
        pages = rf"\g<0>\n\1PAGERDUTY_URL: {sink.origin}/pagerduty"
        file.write_text(re.sub(r"^( *)PAGERDUTY_KEY_FILE: .*", pages, text, flags=re.MULTILINE))
    for secrets in (deploy / "secrets", deploy / "gateway" / "secrets"):
        secrets.mkdir()
        for name, secret in (("tutum_token", "k3y"), ("slack_url", f"{sink.origin}/slack"), ("pagerduty_key", "none")):
            (secrets / name).write_text(secret)
            os.chown(secrets / name, 10001, 10001)
    return deploy


def environment(engine: DockerEngine) -> dict[str, str]:
    group = Path(engine.host.removeprefix("unix://")).stat().st_gid
    return {**os.environ, "DOCKER_HOST": engine.host, "DOCKER_GID": str(group), "COMPOSE_PROJECT_NAME": "deployed"}


def run(engine: DockerEngine, *command: str) -> str:
    done = subprocess.run(command, env=environment(engine), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@contextmanager
def composed(engine: DockerEngine, file: Path, *options: str) -> Iterator[Callable[[], str]]:
    """All of a Compose file; gives the way to its logs."""
    try:
        compose = shutil.which("docker-compose") or installed("docker-compose", "docker-compose")
    except EngineUnavailableError as problem:
        pytest.skip(str(problem))
    command = (compose, "--file", str(file), *options)
    try:
        run(engine, *command, "up", "--detach", "--no-build")
        yield lambda: run(engine, *command, "logs", "--no-color")
    finally:
        run(engine, *command, "down", "--volumes")


def assert_tells(engine: DockerEngine, sink: Sink, logs: Callable[[], str], patience: float) -> None:
    """Once it listens, what happens on the engine comes to the sink."""
    try:
        until(lambda: "objects are known" in logs(), "stream", patience)
    except AssertionError as problem:
        raise AssertionError(f"{problem}: {logs()[-3000:]}") from None
    engine.run("deployed-crash", "sh", "-c", "exit 3")
    try:
        for word in ("created", "updated"):
            until(lambda word=word: any(f"was {word} on" in text for text in sink.told), word)  # type: ignore[misc]  # of this turn
    finally:
        engine.remove("deployed-crash")


def test_compose_starts_a_service_over_its_own_engine_that_tells(
    engine: DockerEngine, folder: Path, sink: Sink
) -> None:
    with composed(engine, folder / "compose.yaml", "--profile", "docker") as logs:
        assert_tells(engine, sink, logs, 20)


def test_compose_starts_a_proxy_a_gateway_and_a_service_that_tells(
    engine: DockerEngine, proxy: None, folder: Path, sink: Sink
) -> None:
    with composed(engine, folder / "gateway" / "compose.yaml") as logs:
        assert_tells(engine, sink, logs, 20)


def test_a_stack_starts_a_proxy_a_gateway_and_a_service_that_tells(
    engine: DockerEngine, proxy: None, folder: Path, sink: Sink
) -> None:
    if not isinstance(engine, OwnEngine):
        pytest.skip("only an engine of our own is made a swarm")
    engine.start_swarm()
    try:
        node = engine.docker("info", "--format", "{{.Swarm.NodeID}}")
        engine.docker("node", "update", "--label-add", "tutumgateway=true", node)
        for secret in (folder / "secrets").iterdir():
            engine.docker("secret", "create", secret.name, str(secret))
        file = str(folder / "gateway" / "stack.yaml")
        run(engine, "docker", "stack", "deploy", "--resolve-image", "never", "--compose-file", file, "deployed")
        # It is not to be found before it is healthy, which Docker asks every ten seconds.
        assert_tells(engine, sink, lambda: engine.docker("service", "logs", "--raw", "deployed_tutumstream"), 40)
    finally:
        engine.docker("stack", "rm", "deployed", check=False)
        until(lambda: not engine.docker("ps", "-q", "--filter", "name=deployed_"), "end of the stack", 40)
        engine.docker("swarm", "leave", "--force")
        engine.docker("volume", "prune", "--force")
