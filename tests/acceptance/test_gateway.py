"""The gateway with real sockets and real clients, the CLI of 2015 among them."""

import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
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
