"""What takes long by its nature, and goes on beside the other tests until somebody looks at it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.acceptance.running_destinations import PAGERDUTY_V1, SLACK, WEBHOOK, RunningDestinations
from tests.acceptance.service import RunningService, container, listening, until
from tests.acceptance.small_disk import fill, small_disk
from tests.running_tutum import RunningTutum

WAITING: Final = 300
"""Enough to outgrow what the journal has in hand."""

LOST: Final = ("back", "lost")
"""Names of nodes."""

Troubled = tuple[RunningService, RunningDestinations, RunningTutum]


@dataclass
class Stopping:
    """A service that was told to stop. After `wait`: its exit status, and how many seconds it took."""

    service: RunningService
    told: RunningDestinations
    tutum: RunningTutum
    wait: Callable[[], None] = lambda: None
    status: int = -1
    took: float = 0.0


@dataclass(frozen=True)
class Killed:
    """A service that does not run; `at` is when it ended, by `time.monotonic`."""

    service: RunningService
    told: RunningDestinations
    tutum: RunningTutum
    at: float


@contextmanager
def demo(folder: Path) -> Iterator[tuple[RunningService, RunningDestinations]]:
    """The demo, and the destinations that its environment names, as proxies too."""
    (folder / "tmp").mkdir()
    with RunningDestinations() as told:
        proxies = {"HTTP_PROXY": told.origin, "HTTPS_PROXY": told.origin}
        environment = {**told.environment(), **proxies, "TMPDIR": str(folder / "tmp")}
        with RunningService(folder, environment, "--demo") as service:
            # Its first seconds count: nothing else starts beside it.
            service.wait_for_line("[slack]")
            yield service, told


@contextmanager
def troubled(folder: Path, mode: str, trouble: str) -> Iterator[Troubled]:
    """A service whose Tutum is in a bad mode until the service's log says so."""
    with RunningTutum() as tutum, RunningDestinations() as told:
        tutum.mode(mode)
        with RunningService(folder, {**listening(tutum), **told.environment()}) as service:

            def relent() -> None:
                service.wait_for_line(trouble, 60)
                tutum.mode("open")

            with _beside(relent):
                yield service, told, tutum


@contextmanager
def long_stop(folder: Path) -> Iterator[Stopping]:
    """A service that is told to stop while Slack hangs, with one more message behind the one in flight."""
    with RunningTutum() as tutum, RunningDestinations() as told:
        told.script(SLACK, {"hang": "before", "times": -1})
        with RunningService(folder, {**listening(tutum), **told.environment()}) as service:
            found = Stopping(service, told, tutum)

            def stop() -> None:
                service.wait_until_connected()
                tutum.send(container(1))
                tutum.send(container(2))
                until(lambda: told.requests(SLACK), "request that hangs")
                began = time.monotonic()
                found.status = service.terminate()
                found.took = time.monotonic() - began

            with _beside(stop) as found.wait:
                yield found


@contextmanager
def lost_nodes(folder: Path) -> Iterator[Killed]:
    """A service that heard of two lost nodes and was killed before it was to page."""
    with RunningTutum() as tutum, RunningDestinations() as told:
        environment = {**listening(tutum), **told.environment(), "TUTUMSTREAM_ROUTES": "problems"}
        for name in LOST:
            tutum.put(f"/api/v1/node/{name}/", "Deployed")
        with RunningService(folder, {**environment, "PAGERDUTY_RATE": "none"}) as service:
            service.wait_for_line("objects are known")
            for name in LOST:
                lost = {"type": "node", "action": "update", "state": "Unreachable", "parents": []}
                tutum.send(json.dumps({**lost, "resource_uri": f"/api/v1/node/{name}/"}))
            told.wait_for(WEBHOOK, len(LOST))
            service.kill()
            yield Killed(service, told, tutum, time.monotonic())


@contextmanager
def full_disk(folder: Path) -> Iterator[Troubled]:
    """A service whose disk is full until PagerDuty hears of that, with `WAITING` containers to tell of meanwhile."""
    state = folder / "state"
    with small_disk(state, "8m"), RunningTutum() as tutum, RunningDestinations() as told:
        environment = {**listening(tutum), **told.environment(), "SLACK_RATE": "none", "PAGERDUTY_RATE": "none"}
        with RunningService(folder, environment) as service:

            def trouble() -> None:
                told.wait_for(PAGERDUTY_V1, 1)
                rest = fill(state)
                for number in range(WAITING):
                    tutum.send(container(number))
                service.wait_for_line("pagerduty was told of the journal's trouble", 120)
                service.wait_for_line("slack was told of the journal's trouble")
                rest.unlink()

            with _beside(trouble):
                yield service, told, tutum


@contextmanager
def _beside(work: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Do this in a thread; gives what waits for its end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield lambda: thread.join(60)
    thread.join(60)
