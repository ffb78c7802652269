"""The scripted destinations (`tests/destinations.py`) as a process of their own."""

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final
from urllib.request import Request, urlopen

from tests.acceptance.service import until

SLACK: Final = "/services/T0/B0/x"
PAGERDUTY_V1: Final = "/generic/2010-04-15/create_event.json"
PAGERDUTY_V2: Final = "/v2/enqueue"
WEBHOOK: Final = "/webhook"

PAGERDUTY_KEY: Final = "0123456789abcdef0123456789abcdef"
WEBHOOK_SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class RunningDestinations:
    """Slack, PagerDuty and a webhook's receiver on one port, to be used in a `with`."""

    command: ClassVar[tuple[str, ...]] = ("tests.destinations", "--webhook-secret", WEBHOOK_SECRET)

    def __init__(self) -> None:
        self.origin = ""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "RunningDestinations":
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", *self.command],
            cwd=Path(__file__).parent.parent.parent,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.strip().isdigit(), "the destinations did not start; their errors are above"
        self.origin = f"http://127.0.0.1:{line.strip()}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def environment(self, api: str = "v1") -> dict[str, str]:
        """The variables that send everything here."""
        return {
            "SLACK_URL": self.origin + SLACK,
            "PAGERDUTY_KEY": PAGERDUTY_KEY,
            "PAGERDUTY_API": api,
            "PAGERDUTY_URL": self.origin + (PAGERDUTY_V1 if api == "v1" else PAGERDUTY_V2),
            "WEBHOOK_URL": self.origin + WEBHOOK,
            "WEBHOOK_SECRET": WEBHOOK_SECRET,
        }

    def script(self, path: str, *answers: dict[str, Any]) -> None:
        """How the next requests to this path are answered; see `tests.destinations.Scripted`."""
        self._ask("answers", "POST", {"path": path, "answers": answers})

    def forget(self) -> None:
        """No requests, no scripts."""
        self._ask("requests", "DELETE")

    def requests(self, path: str = "/") -> list[dict[str, Any]]:
        """What came to paths that begin like that, in order; see `tests.destinations.Received`."""
        return list(self._ask(f"requests?path={path}"))

    def accepted(self, path: str) -> list[dict[str, Any]]:
        """The bodies that were taken; all of them must keep the destination's contract."""
        requests = self.requests(path)
        assert [one["problems"] for one in requests if one["problems"]] == []
        return [one["body"] for one in requests if 200 <= one["status"] < 300]

    def wait_for(self, path: str, count: int, timeout: float = 15.0) -> list[dict[str, Any]]:
        """The bodies that were taken, as soon as there are that many."""
        until(lambda: len(self.accepted(path)) >= count, f"{count} bodies at {path}", timeout)
        return self.accepted(path)

    def _ask(self, what: str, method: str = "GET", body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.origin}/_control/{what}", data=data, method=method), timeout=10) as answer:
            return json.load(answer)
