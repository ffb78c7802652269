"""The unit as systemd reads it, and the service as systemd hears it (sd_notify(3), systemd.exec(5))."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

pytestmark = pytest.mark.acceptance

DEPLOY = Path(__file__).parents[2] / "deploy"
units = pytest.mark.parametrize("unit", ["tutumstream.service", "tutumgateway.service"])

needs_systemd_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed on this machine"
)


@pytest.fixture
def notified() -> Iterator[socket.socket]:
    """The manager's side of NOTIFY_SOCKET."""
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(f"{folder}/notify")
        yield bound


@pytest.fixture
def service(notified: socket.socket) -> Iterator["subprocess.Popen[bytes]"]:
    """The service, run as the unit runs it, with a watchdog of one second."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TUTUM")}
    environment |= {"NOTIFY_SOCKET": notified.getsockname(), "WATCHDOG_USEC": "1000000"}
    command = [sys.executable, "-m", "tutumstream", "--demo", "--listen", "none"]
    with (
        TemporaryDirectory() as folder,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL) as process,
    ):
        yield process
        process.kill()


def hear(notified: socket.socket, until: Callable[[str], bool], within: float = 15) -> list[str]:
    """Every message up to the one that was waited for."""
    heard: list[str] = []
    ends = time.monotonic() + within
    while True:
        notified.settimeout(max(0.01, ends - time.monotonic()))
        try:
            heard.append(notified.recv(4096).decode())
        except TimeoutError:
            pytest.fail(f"what was waited for did not come; heard: {heard}")
        if until(heard[-1]):
            return heard


def test_systemd_hears_ready_then_the_state_then_the_watchdog_then_stopping(
    notified: socket.socket, service: "subprocess.Popen[bytes]"
) -> None:
    before = hear(notified, lambda message: message == "READY=1")
    assert not [message for message in before if message.startswith(("WATCHDOG", "STOPPING"))]
    hear(notified, lambda message: message.startswith("STATUS=stream connected"))
    began = time.monotonic()
    for _ in range(3):
        hear(notified, lambda message: message == "WATCHDOG=1", within=1)
    assert time.monotonic() - began < 2
    service.send_signal(signal.SIGTERM)
    while_running = hear(notified, lambda message: message == "STOPPING=1")
    assert "READY=1" not in while_running
    assert service.wait(15) == 0


def test_the_watchdog_is_left_alone_by_a_service_that_hangs(
    notified: socket.socket, service: "subprocess.Popen[bytes]"
) -> None:
    hear(notified, lambda message: message == "WATCHDOG=1")
    service.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, service.pid, os.WSTOPPED)
    notified.setblocking(False)
    with suppress(BlockingIOError):
        while notified.recv(4096):
            pass
    notified.settimeout(1.5)
    with pytest.raises(TimeoutError):
        notified.recv(4096)


def test_the_gateway_tells_it_the_same(notified: socket.socket, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TUTUM")}
    environment |= {"NOTIFY_SOCKET": notified.getsockname(), "TUTUM_USERNAME": "alice", "TUTUM_TOKEN": "k3y"}
    twistd = Path(sys.executable).with_name("twistd")
    command = [twistd, "-n", "--pidfile=", "tutumgateway", "--scenario", "--listen", "tcp:0:interface=127.0.0.1"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as process:
        hear(notified, lambda message: message == "READY=1")
        hear(notified, lambda message: message.startswith("STATUS=serving at 127.0.0.1:"))
        process.terminate()
        hear(notified, lambda message: message == "STOPPING=1")
        assert process.wait(10) == 0


@needs_systemd_analyze
@units
def test_the_unit_is_hardened_to_an_exposure_under_two(unit: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", DEPLOY / unit],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) < 2.0


@needs_systemd_analyze
@units
def test_systemd_has_nothing_to_say_against_the_unit(unit: str, tmp_path: Path) -> None:
    # It looks for the program, which is not at its place while we are tested.
    here = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", (DEPLOY / unit).read_text(), flags=re.MULTILINE)
    copy = tmp_path / unit
    copy.write_text(here)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if unit in line or "ExecStart" in line] == []
