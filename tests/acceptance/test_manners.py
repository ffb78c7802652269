"""Our own rates, with the real service: no destination is sent more than it asks for, and nothing is lost by that."""

import time

import pytest

from tests.acceptance.running_destinations import SLACK, WEBHOOK, RunningDestinations
from tests.acceptance.service import Serve, container, message
from tests.running_tutum import RunningTutum

pytestmark = pytest.mark.acceptance


def test_slack_gets_a_burst_and_then_one_message_a_second(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    service = serve(SLACK_RATE="1")
    service.wait_until_connected()
    begun = time.monotonic()
    for number in range(6):
        tutum.send(container(number))
    told.wait_for(SLACK, 6)
    assert time.monotonic() - begun > 2.0
    assert told.accepted(SLACK) == [message(number) for number in range(6)]


def test_slack_gets_one_message_for_a_backlog_of_more_than_a_minute(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    told.script(SLACK, {"status": 429, "headers": {"Retry-After": "5"}})
    service = serve(SLACK_RATE="1")
    service.wait_until_connected()
    for number in range(200):
        tutum.send(container(number))
    told.wait_for(WEBHOOK, 200)
    (first,) = told.wait_for(SLACK, 1)[:1]
    assert first["text"].startswith("200 container events in ")
