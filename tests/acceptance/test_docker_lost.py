"""A real Docker Engine that hangs, dies and comes back, under the whole service."""

import signal
import time

import pytest

from tests.acceptance.docker_engine import OwnEngine
from tests.acceptance.running_destinations import PAGERDUTY_V1, WEBHOOK, RunningDestinations
from tests.acceptance.service import RunningService, Serve, until

pytestmark = pytest.mark.acceptance

HALF_A_MINUTE = 30.0


def containers(told: RunningDestinations) -> list[tuple[str, str]]:
    """Action and state of each event of a container, in order."""
    events = [body["data"] for body in told.accepted(WEBHOOK)]
    return [(one["action"], one["state"]) for one in events if one["type"] == "container"]


def paged(told: RunningDestinations) -> list[str]:
    return [str(one["event_type"]) for one in told.accepted(PAGERDUTY_V1)]


def not_ready(service: RunningService) -> str:
    """Why, as soon as the service says so."""
    until(lambda: service.probe()[0] == 503, "503", HALF_A_MINUTE)
    return " ".join(service.probe()[1]["reasons"])


def test_an_engine_that_hangs_pages_within_half_a_minute_and_what_it_did_then_is_told(
    own_engine: OwnEngine, serve: Serve, told: RunningDestinations
) -> None:
    own_engine.run("witness", options=("--stop-timeout", "1"))
    try:
        service = serve("--docker", DOCKER_HOST=own_engine.host)
        told.wait_for(PAGERDUTY_V1, 1)
        own_engine.signal(signal.SIGSTOP)
        began = time.monotonic()
        until(lambda: paged(told) == ["resolve", "trigger"], "page", HALF_A_MINUTE)
        assert time.monotonic() - began < HALF_A_MINUTE
        assert f"Docker Engine {own_engine.host}: it does not answer any more" in not_ready(service)
        again = f"answered 503: Docker Engine {own_engine.host}"
        until(lambda: again in not_ready(service), "the same after another try")
        own_engine.signal(signal.SIGCONT)
        own_engine.docker("kill", "witness")
        until(lambda: paged(told) == ["resolve", "trigger", "resolve"], "the end of it", 90.0)
        assert service.probe()[0] == 200
        until(lambda: containers(told)[-1:] == [("update", "Stopped")], "what was missed")
        assert {action for action, _ in containers(told)} == {"update"}
    finally:
        own_engine.signal(signal.SIGCONT)
        own_engine.remove("witness")


def test_an_engine_that_is_killed_and_restarted_pages_and_deletes_nothing(
    own_engine: OwnEngine, serve: Serve, told: RunningDestinations
) -> None:
    own_engine.run("orphan", options=("--stop-timeout", "1"))
    try:
        service = serve("--docker", DOCKER_HOST=own_engine.host)
        told.wait_for(PAGERDUTY_V1, 1)
        own_engine.kill()
        until(lambda: paged(told) == ["resolve", "trigger"], "page")
        assert own_engine.host in not_ready(service)
        own_engine.start()
        until(lambda: paged(told) == ["resolve", "trigger", "resolve"], "the end of it", 120.0)
        until(lambda: containers(told) == [("update", "Stopped")], "what was missed")
    finally:
        own_engine.remove("orphan")


def test_an_engine_that_is_not_there_at_the_start_pages_too_and_is_tried_until_it_is(
    own_engine: OwnEngine, serve: Serve, told: RunningDestinations
) -> None:
    own_engine.kill()
    try:
        service = serve("--docker", DOCKER_HOST=own_engine.host)
        # At once, for whoever has just typed it.
        service.wait_for_line("can't be reached: ")
        until(lambda: paged(told) == ["trigger"], "page", 2 * HALF_A_MINUTE)
        assert f"Docker Engine {own_engine.host}: " in not_ready(service)
    finally:
        own_engine.start()
    until(lambda: paged(told) == ["trigger", "resolve"], "the end of it", 120.0)
    assert service.probe()[0] == 200
