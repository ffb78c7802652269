"""The disk of the running service is full: it stops reading, says why, and goes on without a restart when it may."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conservation import look_into
from tests.acceptance.conservation_account import Account
from tests.acceptance.conservation_world import World
from tests.acceptance.service import RunningService, until
from tests.acceptance.small_disk import fill, small_disk

pytestmark = pytest.mark.acceptance

EVENTS, WEIGHT = 100_000, 2_000
"""Many more than the service and the network's own buffers take; and the bytes of each."""

NO_TROUBLE = 1e9
FULL = "can't grow, the disk is full: free some space"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder on a small disk of its own."""
    folder = tmp_path / "service" / "state"
    with small_disk(folder, "128m"):
        yield folder


@pytest.fixture
def world() -> Iterator[World]:
    with World(EVENTS, 2_000.0, 300, NO_TROUBLE, 1, WEIGHT) as world:
        yield world


@pytest.fixture
def service(state: Path, world: World) -> Iterator[RunningService]:
    with RunningService(state.parent, world.environment()) as running:
        yield running


def taken(service: RunningService) -> int:
    """Events that came in so far."""
    return int(service.probe()[1]["counts"]["events"])


def test_while_the_disk_is_full_reading_pauses_and_then_goes_on_and_nothing_is_lost(
    service: RunningService, state: Path, world: World, tmp_path: Path
) -> None:
    until(lambda: len(world.arrivals) > 100, "arrivals")
    ballast = fill(state)
    service.wait_for_line(FULL)
    service.wait_for_line("reading from the stream pauses")
    paused_at, memory = taken(service), service.resident()
    until(world.stands_still, "flood that stands still", 30)
    assert taken(service) == paused_at < len(world.uris)
    assert service.resident() < memory + 5 * 1024
    status, ready = service.probe()
    assert (status, ready["stream"]) == (503, "connected")
    assert FULL in str(ready["reasons"])

    world.send_no_more()
    ballast.unlink()
    service.wait_for_line("can be written again")
    service.wait_for_line("reading from the stream goes on")
    until(lambda: service.probe()[0] == 200, "readiness")
    until(lambda: len(world.arrivals) >= len(world.uris), "last event", 60)
    assert service.terminate() == 0
    account = Account(world.uris, 0, world.arrivals, set(), [], look_into(state, tmp_path))
    assert account.check() == []
    assert service.told("StreamService").count("Connected") == 1
    assert service.told(level="critical") == []


def test_a_full_disk_does_not_keep_the_service_from_stopping(
    service: RunningService, state: Path, world: World
) -> None:
    until(lambda: len(world.arrivals) > 100, "arrivals")
    fill(state)
    service.wait_for_line(FULL)
    assert service.terminate(30) == 0
    assert len([line for line in service.told(level="error") if "changes not written" in line]) == 1
    assert service.told(level="critical") == []
