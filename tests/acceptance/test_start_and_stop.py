"""How it begins, how it refuses to begin, and how it ends."""

import os
import pty
import signal
import time
from pathlib import Path

import pytest

from tests.acceptance.early import Stopping
from tests.acceptance.running_destinations import PAGERDUTY_KEY, PAGERDUTY_V1, SLACK, RunningDestinations
from tests.acceptance.service import TWISTD, RunningService, Serve, container, listening, message, until
from tests.running_tutum import RunningTutum

pytestmark = pytest.mark.acceptance

GRACE = 10.0
MARGIN = 2.0

SWALLOWED = """
import pathlib, socket, time
look_up = socket.getaddrinfo
def swallow(host, *rest):
    if host == "swallowed.example":
        pathlib.Path("asked").touch()
        time.sleep(300)
    return look_up(host, *rest)
socket.getaddrinfo = swallow
"""
"""A nameserver that never answers for one host, as Python runs it before anything else: `sitecustomize`."""


def refused(service: RunningService) -> list[str]:
    """Start what can't start; gives its lines on stderr."""
    with service:
        assert service.wait(30) == 1
        assert not any("Traceback" in line for line in [*service.lines, *service.errors])
        return service.errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_stop_pages_and_ends_with_status_0(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations, number: signal.Signals
) -> None:
    service = serve()
    service.wait_until_connected()
    told.wait_for(PAGERDUTY_V1, 1)
    assert service.probe("/healthz") == (200, {"status": "ok"})
    os.kill(service.pid, number)
    assert service.wait() == 0
    assert [one["event_type"] for one in told.accepted(PAGERDUTY_V1)] == ["resolve", "trigger"]
    assert told.accepted(PAGERDUTY_V1)[1]["description"] == "Tutum Stream connection closed."
    assert service.errors == []
    assert tutum.state()["clients"] == 0


def test_a_hang_up_ends_it_politely_where_it_has_a_terminal_and_is_only_told_where_it_has_none_as_other_signals_are(
    serve: Serve, told: RunningDestinations, tutum: RunningTutum, tmp_path: Path
) -> None:
    # Where the tests run under `nohup`, whoever they start would go on with it.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    service = serve()
    service.wait_until_connected()
    os.kill(service.pid, signal.SIGHUP)
    service.wait_for_line("SIGHUP changes nothing")
    for name in ("SIGUSR1", "SIGUSR2", "SIGALRM"):
        os.kill(service.pid, signal.Signals[name])
        service.wait_for_line(f"{name} changes nothing")
    os.kill(service.pid, signal.SIGQUIT)
    assert service.wait() == 0
    told.forget()
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **listening(tutum), **told.environment()}
        options = ["tutumstream", "--listen", "none", "--state-dir", str(tmp_path / "state")]
        os.execve(TWISTD, [str(TWISTD), "-n", "--pidfile=", *options], environment)
    told.wait_for(PAGERDUTY_V1, 1)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert [one["event_type"] for one in told.accepted(PAGERDUTY_V1)] == ["resolve", "trigger"]


def test_a_stop_waits_ten_seconds_for_what_is_in_flight_and_leaves_the_rest_for_the_next_start(
    long_stop: Stopping,
) -> None:
    long_stop.wait()
    assert long_stop.status == 0
    assert long_stop.took < GRACE + 1 + MARGIN
    told = long_stop.told
    assert [one["event_type"] for one in told.accepted(PAGERDUTY_V1)] == ["resolve", "trigger"]
    assert len(told.requests(SLACK)) == 1
    told.forget()
    long_stop.service.start()
    assert told.wait_for(SLACK, 2) == [message(1), message(2)]


def test_a_stop_lets_what_is_in_flight_finish(serve: Serve, tutum: RunningTutum, told: RunningDestinations) -> None:
    told.script(SLACK, {"delay": 1.5})
    service = serve()
    service.wait_until_connected()
    tutum.send(container(1))
    until(lambda: told.requests(SLACK), "request that takes its time")
    assert service.terminate() == 0
    serve().wait_until_connected()
    assert told.accepted(SLACK) == [message(1)]


def test_a_stop_waits_for_no_nameserver(serve: Serve, tutum: RunningTutum, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SWALLOWED)
    service = serve(PYTHONPATH=str(tmp_path), SLACK_URL="https://swallowed.example/services/T0/B0/x")
    service.wait_until_connected()
    tutum.send(container(1))
    until((service.state_dir.parent / "asked").exists, "look-up")
    began = time.monotonic()
    assert service.terminate() == 0
    assert time.monotonic() - began < GRACE + 1 + MARGIN


def test_a_second_service_on_the_same_state_folder_refuses_to_start(
    serve: Serve, prepare: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    first = serve()
    first.wait_until_connected()
    second = prepare()
    assert refused(second) == []
    (line,) = (line for line in second.lines if "can't begin" in line)
    assert f"is in use by another tutumstream (process {first.pid})" in line
    assert "stop that one, or choose another state folder" in line
    assert tutum.state()["connections"] == 1
    assert first.probe()[0] == 200


def test_a_port_that_is_taken_refuses_the_start(prepare: Serve, tutum: RunningTutum) -> None:
    taken = prepare("--listen", f"tcp:{tutum.port}:interface=127.0.0.1")
    refused(taken)
    assert any("can't begin" in line and "Address already in use" in line for line in taken.lines)
    assert tutum.requests() == []


def test_every_mistake_is_told_at_once_and_nothing_is_dialled(
    prepare: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    lines = refused(
        prepare(
            "--listen",
            "tcp:port",
            "--log-level",
            "loud",
            TUTUM_TOKEN="",
            TUTUM_BASE_URL="ftp://tutum.example/",
            TUTUM_STREAM_AUTH="cookie",
            SLACK_URL="hooks.slack.com/services/T0/B0/secret",
            PAGERDUTY_API="v3",
            PAGERDUTY_ON_DELETE="stack,planet",
            PAGERDUTY_KEY_FILE="/nowhere/key",
            WEBHOOK_URL="",
            HTTPS_PROXY="socks5://proxy.example:1080",
            SSL_CERT_FILE="/nowhere/authorities.pem",
        )
    )
    for name in (
        "TUTUM_BASE_URL",
        "TUTUM_STREAM_AUTH",
        "SLACK_URL",
        "PAGERDUTY_API",
        "PAGERDUTY_ON_DELETE",
        "PAGERDUTY_KEY and PAGERDUTY_KEY_FILE",
        "HTTPS_PROXY",
        "SSL_CERT_FILE",
        "--listen",
        "--log-level",
        "WEBHOOK_SECRET",
    ):
        assert len([line for line in lines if line.startswith(f"tutumstream: {name}")]) == 1, (name, lines)
    assert len([line for line in lines if "TUTUM_USERNAME" in line and "TUTUM_TOKEN" in line]) == 1
    assert len(lines) == 12
    assert not any("T0/B0" in line or PAGERDUTY_KEY in line for line in lines)
    assert tutum.requests() == []
    assert told.requests() == []


def test_without_credentials_it_names_the_variables_and_dials_nobody(prepare: Serve, tutum: RunningTutum) -> None:
    lines = refused(prepare(TUTUM_USERNAME="", TUTUM_TOKEN=""))
    assert len(lines) == 1
    for name in ("TUTUM_USERNAME", "TUTUM_TOKEN", "TUTUM_USER", "TUTUM_APIKEY", "TUTUM_AUTH"):
        assert name in lines[0]
    assert tutum.requests() == []


def test_without_any_destination_it_still_runs_and_the_log_gets_everything(serve: Serve, tutum: RunningTutum) -> None:
    service = serve(SLACK_URL="", PAGERDUTY_KEY="", WEBHOOK_URL="", WEBHOOK_SECRET="")
    assert "SLACK_URL and PAGERDUTY_KEY" in service.wait_for_line("no destination is set")
    service.wait_until_connected()
    tutum.send(container("x"))
    service.wait_for_line("Your container was updated on Tutum! / Check /api/v1/container/x/ to see more details.")
    assert service.terminate() == 0
