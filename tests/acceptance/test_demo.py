"""`--demo`: everything to be seen within a minute, and nothing leaves the machine."""

import os
from itertools import pairwise
from pathlib import Path

import pytest

from tests.acceptance import early
from tests.acceptance.running_destinations import RunningDestinations
from tests.acceptance.service import RunningService, moment

pytestmark = pytest.mark.acceptance

Demo = tuple[RunningService, RunningDestinations]

LOOPBACK = "0100007F"
"""127.0.0.1, as the kernel's tables have it."""

KINDS = (
    "[pagerduty resolve tutum-stream] Tutum Stream connection open.",
    "[slack] Your container was created on Tutum! / Check /api/v1/container/",
    "[slack] Your container was updated on Tutum! / Check /api/v1/container/",
    "[slack] A Service on Tutum was updated. / It belonged to the shop Stack. / The Stack state is: Starting",
    "[slack] A Service on Tutum was updated. / It belonged to the shop Stack. / The Stack state is: Running",
    "stack:update:Running:/api/v1/stack/",
    "action:create:In progress:/api/v1/action/",
    "action:update:Success:/api/v1/action/",
    "node:update:Unreachable:/api/v1/node/",
    "node:update:Deployed:/api/v1/node/",
    "[pagerduty trigger tutum-stream] Tutum Stream connection closed.",
)


def until_the_first_message(demo: Demo) -> float:
    service, _ = demo
    return service.said_at("[slack]") - service.started_at


def test_the_first_message_appears_within_five_seconds(demo: Demo, tmp_path: Path) -> None:
    # Other tests may be at work beside this one: a start that was slow for that is tried again.
    took = [until_the_first_message(demo)]
    while min(took) >= 5 and len(took) < 4:
        folder = tmp_path / str(len(took))
        folder.mkdir()
        with early.demo(folder) as again:
            took.append(until_the_first_message(again))
    assert min(took) < 5, took


def test_every_kind_of_message_appears_within_the_first_minute(demo: Demo) -> None:
    service, _ = demo
    for kind in KINDS:
        service.wait_for_line(kind, 60)
        assert service.said_at(kind) - service.started_at < 60, kind
    service.wait_for_line("[pagerduty resolve tutum-stream]", count=2)
    pages = [text.split()[1] for text in service.told("LogNotifier") if text.startswith("[pagerduty")]
    assert pages[:3] == ["resolve", "trigger", "resolve"]


def test_there_is_a_message_every_few_seconds(demo: Demo) -> None:
    service, _ = demo
    times = [moment(entry) for entry in service.entries() if entry["logger"].endswith("LogNotifier")]
    assert max(later - earlier for earlier, later in pairwise(times)) < 10


def test_nothing_leaves_the_machine_and_nothing_is_open_to_it(demo: Demo) -> None:
    service, told = demo
    assert told.requests() == []
    here, there = zip(*connections(service.pid), strict=True)
    assert set(here) == {LOOPBACK}
    # What listens has no peer.
    assert set(there) <= {LOOPBACK, "00000000"}


def connections(pid: int) -> list[tuple[str, str]]:
    """Both ends of every socket for the network that a process has, addresses only."""
    files = {os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [
        line.split()
        for table in ("tcp", "tcp6", "udp", "udp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return [(row[1].split(":")[0], row[2].split(":")[0]) for row in rows if f"socket:[{row[9]}]" in files]


def test_it_ends_politely_and_leaves_no_file_behind(demo: Demo) -> None:
    service, told = demo
    temporary = service.state_dir.parent / "tmp"
    assert len(list(temporary.iterdir())) == 1
    assert service.terminate() == 0
    assert list(temporary.iterdir()) == []
    assert not service.state_dir.exists()
    paged = [line for line in service.told("LogNotifier") if line.startswith("[pagerduty")]
    assert paged[-1] == "[pagerduty trigger tutum-stream] Tutum Stream connection closed."
    assert service.told(level="warn") + service.told(level="error") + service.told(level="critical") == []
    assert service.errors == []
    assert told.requests() == []
