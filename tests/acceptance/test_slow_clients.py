"""One client that stops reading, and one that does not notice."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.acceptance.gateway_flood import CHANGES
from tests.gateway_process import KEY, USER

pytestmark = pytest.mark.acceptance

ALLOWED = 100 * 1024
"""KiB of memory: the 4 MiB that may wait for a client, and what the process needs anyway."""


@pytest.fixture
def gateway() -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.acceptance.gateway_flood"]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def read_to_the_end(client: socket.socket) -> None:
    while client.recv(1 << 20):
        pass


def test_a_client_that_does_not_read_is_cut_off_and_the_other_misses_nothing(gateway: "subprocess.Popen[str]") -> None:
    assert gateway.stdout is not None
    port = int(gateway.stdout.readline())
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", port))
        lines = [
            f"GET /v1/events?user={USER}&token={KEY} HTTP/1.1",
            "Host: x",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        slow.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
        assert b" 101 " in slow.recv(200)
        url = f"ws://127.0.0.1:{port}/v1/events?user={USER}&token={KEY}"
        with connect(url, max_queue=None, compression=None) as quick:
            quick.recv(timeout=5)
            for number in range(CHANGES):
                assert f"/{number:0>64}/" in str(quick.recv(timeout=10))
        status = Path(f"/proc/{gateway.pid}/status").read_text()
        assert int(status.partition("VmHWM:")[2].split()[0]) < ALLOWED
        slow.settimeout(10)
        # What the kernel held for it still comes; then a reset, as it was cut off.
        with pytest.raises(ConnectionResetError):
            read_to_the_end(slow)
