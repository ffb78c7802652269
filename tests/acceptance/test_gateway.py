"""The gateway with real sockets and real clients, the CLI of 2015 among them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.gateway_process import KEY, USER, running_gateway

pytestmark = pytest.mark.acceptance

BASIC = "Basic " + b64encode(f"{USER}:{KEY}".encode()).decode()


@pytest.fixture
def gateway() -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """A gateway of its own for each test."""
    with running_gateway() as running:
        yield running


def listen(port: int, authorization: str = BASIC) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{port}/v1/events", additional_headers={"Authorization": authorization})


def get(port: int, path: str) -> Any:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": BASIC})
    with urllib.request.urlopen(asked, timeout=5) as answer:
        return json.load(answer)


def test_a_client_is_greeted_and_hears_of_objects_that_it_can_look_up(gateway: tuple[int, Any]) -> None:
    port, _ = gateway
    began = time.monotonic()
    with listen(port) as client:
        assert json.loads(client.recv(timeout=5)) == {"type": "auth"}
        event = json.loads(client.recv(timeout=5))
        assert time.monotonic() - began < 5
        assert set(event) == {"type", "action", "state", "resource_uri", "parents"}
        assert get(port, event["resource_uri"])["state"] == event["state"]
        assert client.ping().wait(5)


def test_bad_credentials_hear_so_and_are_closed_after_a_second(gateway: tuple[int, Any]) -> None:
    port, _ = gateway
    with listen(port, "ApiKey alice:wrong") as client:
        assert json.loads(client.recv(timeout=5))["data"] == {"errorMessage": "UNAUTHORIZED"}
        began = time.monotonic()
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=5)
        assert time.monotonic() - began > 1
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/auth/", timeout=5)
    assert refused.value.code == 401


def test_a_polite_stop_closes_clients_with_1001_and_ends_with_status_0(gateway: tuple[int, Any]) -> None:
    port, process = gateway
    with listen(port) as client:
        client.recv(timeout=5)
        process.send_signal(signal.SIGTERM)
        # Iterating ends without an error on 1000 and 1001 only.
        for _ in client:
            pass
        assert client.close_code == 1001
    assert process.wait(10) == 0


def test_a_handshake_as_python_tutum_0_20_sends_it_is_taken(gateway: tuple[int, Any]) -> None:
    port, _ = gateway
    handshake = (
        f"GET /v1/events?token={KEY}&user={USER} HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Host: stream.tutum.co:443\r\nOrigin: http://stream.tutum.co:443\r\nUser-Agent\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client, client.makefile("rb") as answer:
        client.sendall(handshake.encode())
        assert answer.readline().startswith(b"HTTP/1.1 101 ")
        while answer.readline() != b"\r\n":
            pass
        assert answer.read(18) == b'\x81\x10{"type": "auth"}'


@pytest.fixture(scope="module")
def shop() -> Iterator[int]:
    """The port of a gateway whose shop has begun to run."""
    with running_gateway() as (port, _):
        with listen(port) as client:
            while json.loads(client.recv(timeout=10)).get("state") != "Running":
                pass
        yield port


@pytest.fixture(scope="session")
def tutum(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tutum's own command line, 0.21.1, in the Python that it was written for."""
    pythons = sorted(Path.home().glob(".pyenv/versions/2.7*/bin/python2.7"))
    if not pythons:
        pytest.skip("no Python 2.7 in ~/.pyenv/versions to run the tutum command with")
    folder = tmp_path_factory.mktemp("tutum")
    steps = (
        [sys.executable, "-m", "venv", folder / "boot"],
        [folder / "boot/bin/pip", "install", "-q", "virtualenv==20.15.1"],
        [folder / "boot/bin/python", "-m", "virtualenv", "-q", "-p", pythons[-1], folder / "cli"],
        [folder / "cli/bin/pip", "install", "-q", "tutum==0.21.1", "python-tutum==0.21.2"],
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            pytest.skip(f"the tutum command can't be installed: {done.stderr[-300:]}")
    return folder / "cli/bin/tutum"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["stack", "list"], "shop"),
        (["service", "ps"], "web"),
        (["container", "ps"], "db-1"),
        (["node", "list"], "node.tutum.io"),
        (["nodecluster", "list"], "production"),
        (["action", "list"], "Stack Start"),
        (["service", "inspect", "web"], "image_name"),
    ],
)
def test_the_tutum_command_of_2015_shows_the_scenario(tutum: Path, shop: int, command: list[str], shown: str) -> None:
    environment = {
        **os.environ,
        "TUTUM_REST_HOST": f"http://127.0.0.1:{shop}",
        "TUTUM_USER": USER,
        "TUTUM_APIKEY": KEY,
    }
    done = subprocess.run([tutum, *command], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout, done.stdout + done.stderr
