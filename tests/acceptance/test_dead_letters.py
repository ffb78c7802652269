"""Operators look after dead letters with the real command: while the service runs, and when it does not."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.running_destinations import SLACK, WEBHOOK, RunningDestinations
from tests.acceptance.service import RunningService, Serve, container, free_port, message, until
from tests.running_tutum import RunningTutum
from tutumstream.cli.wire import CONNECTING

pytestmark = pytest.mark.acceptance

COMMAND: Final = Path(sys.executable).parent / "tutumstream"
REFUSED: Final = {"status": 400, "body": "invalid_payload"}


class Operator:
    """Somebody at the machine's shell, who knows where the service listens and where its state is."""

    def __init__(self, service: RunningService, listen: str = "") -> None:
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            "TUTUMSTREAM_STATE_DIR": str(service.state_dir),
            "TUTUMSTREAM_LISTEN": listen or f"tcp:{service.port}:interface=127.0.0.1",
        }

    def run(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """`tutumstream dead-letters …`, whatever comes of it; `typed` answers its question."""
        command = [str(COMMAND), "dead-letters", *arguments]
        return subprocess.run(
            command, env=self._environment, input=typed, capture_output=True, text=True, check=False, timeout=60
        )

    def do(self, *arguments: str) -> str:
        """What it prints; it must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def fails(self, *arguments: str) -> str:
        """What it says on stderr; it must fail."""
        done = self.run(*arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    def letters(self, *arguments: str) -> list[dict[str, Any]]:
        """What `list --json` gives, the oldest first."""
        return [json.loads(line) for line in self.do("list", "--json", *arguments).splitlines()][::-1]

    def ids(self) -> list[str]:
        """Of all, the oldest first."""
        return [each["id"] for each in self.letters()]


def refused(serve: Serve, tutum: RunningTutum, told: RunningDestinations, *options: str) -> RunningService:
    """A service whose Slack refused three messages, of the containers 0, 1 and 2."""
    told.script(SLACK, {**REFUSED, "times": 3})
    service = serve(*options, SLACK_RATE="none")
    service.wait_until_connected()
    for number in range(3):
        tutum.send(container(number))
    service.wait_for_line("slack: gave up delivery", count=3)
    told.wait_for(WEBHOOK, 3)
    return service


def test_https_where_none_is_spoken_is_noticed_soon_and_told(serve: Serve) -> None:
    service = serve()
    service.wait_until_connected()
    began = time.monotonic()
    said = Operator(service, f"https://127.0.0.1:{service.port}").fails("list")
    assert "does it speak TLS there, or is http:// meant?" in said
    assert time.monotonic() - began < 2 * CONNECTING


def test_while_the_service_runs_it_is_asked(serve: Serve, tutum: RunningTutum, told: RunningDestinations) -> None:
    operator = Operator(refused(serve, tutum, told))
    first, second, third = operator.ids()

    lines = operator.do("list", "--destination", "slack", "--cause", "rejected").splitlines()
    assert [line.split("\t")[:3] for line in lines] == [[each, "slack", "rejected"] for each in (third, second, first)]
    assert operator.do("list", "--destination", "webhook") == ""

    shown = operator.do("show", second)
    for part in ("container update Running /api/v1/container/1/", "it answered 400", "invalid_payload"):
        assert part in shown
    assert "  " + message(1)["text"].replace("\n", "\n  ") in shown

    assert "1 dead letter taken up again" in operator.do("retry", second)
    assert told.wait_for(SLACK, 1) == [message(1)]
    assert operator.do("drop", first) == "1 dead letter dropped.\n"
    assert operator.ids() == [third]
    assert f"there is no dead letter {first}, {second}" in operator.fails("retry", first, second)
    assert operator.do("retry", "--all", "--cause", "expired") == "0 dead letters taken up again.\n"
    assert operator.do("retry", "--all", "--reason", "rejected") == "1 dead letter taken up again.\n"
    assert told.wait_for(SLACK, 2) == [message(1), message(2)]
    assert operator.run("list").stderr == "There are none.\n"
    # Only where they failed: nobody else heard of them again.
    assert len(told.accepted(WEBHOOK)) == 3


def test_when_none_runs_the_journal_is_opened(serve: Serve, tutum: RunningTutum, told: RunningDestinations) -> None:
    service = refused(serve, tutum, told)
    assert service.terminate() == 0
    operator = Operator(service)
    first, second, third = operator.ids()
    assert f"working on the journal in {service.state_dir}" in operator.run("list").stderr
    shown = operator.do("show", first)
    assert "invalid_payload" in shown
    assert "rendered only while the service runs" in shown
    assert operator.do("retry", first, third) == "2 dead letters to be sent when the service starts.\n"
    asked = operator.run("drop", "--all", typed="n\n")
    assert (asked.returncode, operator.ids()) == (1, [second])
    assert "Drop 1 dead letter for good?" in asked.stderr
    assert operator.do("drop", "--all", "--yes") == "1 dead letter dropped.\n"
    told.forget()
    serve(SLACK_RATE="none").wait_until_connected()
    assert told.wait_for(SLACK, 2) == [message(0), message(2)]
    assert told.accepted(WEBHOOK) == []


def test_a_service_that_cannot_be_asked_keeps_its_journal_to_itself(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    service = refused(serve, tutum, told, "--listen", "none")
    for listen in ("none", f"tcp:{free_port()}"):
        problem = Operator(service, listen).fails("list")
        assert "is in use by another tutumstream" in problem
        assert "--listen must say where" in problem
    operator = Operator(service)
    assert "there is no journal in" in operator.fails("list", "--state-dir", str(service.state_dir / "elsewhere"))
    elsewhere = f"http://192.0.2.1.invalid:{free_port()}"
    assert "can't be reached" in operator.fails("list", "--listen", elsewhere)


def test_a_service_is_asked_over_a_unix_socket(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations, tmp_path: Path
) -> None:
    listen = f"unix:{tmp_path / 'socket'}"
    service = refused(serve, tutum, told, "--listen", listen)
    operator = Operator(service, listen)
    first, *_ = operator.ids()
    assert operator.do("retry", first) == "1 dead letter taken up again.\n"
    assert told.wait_for(SLACK, 1) == [message(0)]
    assert service.terminate() == 0
    assert "nothing listens at unix:" in operator.run("list").stderr


def test_something_else_that_listens_there_is_told_apart(told: RunningDestinations, prepare: Serve) -> None:
    problem = Operator(prepare(), told.origin).fails("list")
    assert "is that a tutumstream of this version?" in problem


def test_more_than_a_lane_keeps_in_memory_are_all_sent_in_order(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    many = 1500
    told.script(WEBHOOK, {**REFUSED, "times": -1})
    service = serve(SLACK_URL="", PAGERDUTY_KEY="", PAGERDUTY_API="", PAGERDUTY_URL="")
    service.wait_until_connected()
    for number in range(many):
        tutum.send(container(number % 10, f"update-{number}"))
    service.wait_for_line("webhook: gave up delivery", count=many, timeout=60)
    told.forget()
    told.script(WEBHOOK, {"status": 503, "times": -1})
    operator = Operator(service)
    assert operator.do("retry", "--all") == f"{many:,} dead letters taken up again.\n"
    told.forget()
    until(lambda: len(told.requests(WEBHOOK)) >= many, "retried message", 20)
    bodies = [body["data"] for body in told.accepted(WEBHOOK)]
    for key in range(10):
        of_key = [body["action"] for body in bodies if body["resource_uri"] == f"/api/v1/container/{key}/"]
        assert of_key == [f"update-{number}" for number in range(key, many, 10)]
