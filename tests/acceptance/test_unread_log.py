"""A log that nobody reads: a terminal after Ctrl-S, a program behind a pipe that hangs."""

import json
import threading
from pathlib import Path
from typing import IO, Any

import pytest

from tests.acceptance.conftest import UNHURRIED
from tests.acceptance.running_destinations import SLACK, RunningDestinations
from tests.acceptance.service import RunningService, container, listening, message, until
from tests.running_tutum import RunningTutum

pytestmark = pytest.mark.acceptance

LINES = 1100
"""More than a pipe takes, and than are kept."""


class Unread(RunningService):
    """Reads nothing of what it writes until it is `wanted`."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.wanted = threading.Event()

    def __exit__(self, *problem: Any) -> None:
        self.wanted.set()
        super().__exit__(*problem)

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        self.wanted.wait()
        super()._read(stream, lines)


def for_the_log(number: int) -> str:
    uri, parent = f"/api/v1/action/{number}/", f"/api/v1/service/{'x' * 1500}/"
    event = {"type": "action", "action": "update", "state": "Success", "resource_uri": uri, "parents": [parent]}
    return json.dumps(event)


def test_holds_nobody_up_and_says_what_is_missing_once_it_is_read(
    tmp_path: Path, tutum: RunningTutum, told: RunningDestinations
) -> None:
    with Unread(tmp_path, {**listening(tutum), **told.environment(), **UNHURRIED}) as service:
        tutum.wait_for_clients()
        for number in range(LINES):
            tutum.send(for_the_log(number))
        tutum.send(container("x"))
        assert told.wait_for(SLACK, 1) == [message("x")]
        assert service.probe("/healthz")[0] == 200
        service.wanted.set()
        service.wait_for_line("/action/0/")
        until(lambda: tutum.send(for_the_log(LINES)) or service.told(level="warn"), "word of what is missing")
        (warning,) = service.told(level="warn")
        assert "lines are missing here" in warning
        assert service.terminate() == 0
