"""Nothing that was read is lost, however often the service is killed; the long run is a command, `conservation.py`."""

from pathlib import Path

import pytest

from tests.acceptance.conservation import Plan, run
from tests.acceptance.conservation_world import TROUBLES

pytestmark = pytest.mark.acceptance


def test_every_event_that_was_read_and_committed_arrives_though_the_service_is_killed_amid_the_work(
    tmp_path: Path,
) -> None:
    came = run(Plan(events=4000, rate=300.0, kills=3, calm=0.7), tmp_path)
    assert came.problems == [], came.table
    assert came.troubles.keys() == set(TROUBLES)
    assert any(look.pending for look in came.account.looks)
    assert came.account.end.dead
