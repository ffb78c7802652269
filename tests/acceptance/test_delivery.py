"""A destination is in trouble, or the service is killed: nothing is lost, the order stays, nobody else is delayed."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.running_destinations import PAGERDUTY_V1, SLACK, WEBHOOK, RunningDestinations
from tests.acceptance.service import Serve, container, message, until
from tests.running_tutum import RunningTutum
from tutumstream.journal.place_watch import EVERY

pytestmark = pytest.mark.acceptance

MANY = 100
AT_ONCE = 50
"""Requests to the webhook that are under way together."""

IN_DOUBT = 5
"""Messages to a destination that is told one at a time, of which a kill may leave nobody knowing whether they arrived:
a busy disk is a few messages behind."""

MARGIN = 2.0
"""Seconds that a busy machine may take for what should take none."""


def deleted(name: object) -> dict[str, Any]:
    """The page for a deleted container; the details are another test's matter."""
    uri = f"/api/v1/container/{name}/"
    return {"event_type": "trigger", "incident_key": uri, "description": f"container {uri} was deleted on Tutum."}


def pages(told: RunningDestinations) -> list[dict[str, Any]]:
    """The pages of deletions so far."""
    found = [one for one in told.accepted(PAGERDUTY_V1) if one["incident_key"].startswith("/api/")]
    return [{key: one[key] for key in ("event_type", "incident_key", "description")} for one in found]


def test_what_waits_for_a_failing_slack_survives_a_kill_and_arrives_in_order(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    told.script(SLACK, {"status": 503, "times": -1})
    service = serve()
    service.wait_until_connected()
    for number in range(MANY):
        tutum.send(container(number))
    # What the webhook was told is on disk, and with it what Slack is to be told.
    told.wait_for(WEBHOOK, MANY, 60)
    until(lambda: service.waiting() <= MANY + AT_ONCE, "word of what arrived on disk")
    service.kill()
    assert told.accepted(SLACK) == []
    told.forget()
    again = serve()
    assert f"slack: {MANY} still" in again.wait_for_line("still to be delivered")
    told.wait_for(SLACK, MANY, 60)
    assert again.terminate() == 0
    assert told.accepted(SLACK) == [message(number) for number in range(MANY)]
    # What had arrived when the kill came and was not written down yet is told again, and nothing else.
    assert len(told.accepted(WEBHOOK)) <= AT_ONCE


def test_who_looks_into_the_journal_or_backs_it_up_takes_nothing_from_it(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations, tmp_path: Path
) -> None:
    told.script(SLACK, {"status": 503, "times": -1})
    service = serve()
    service.wait_until_connected()
    # It has looked after its files since.
    time.sleep(EVERY + MARGIN)
    assert backed_up(service.state_dir / "journal.sqlite3", tmp_path / "first") == 1
    for number in range(MANY):
        tutum.send(container(number))
    told.wait_for(WEBHOOK, MANY, 60)
    assert backed_up(service.state_dir / "journal.sqlite3", tmp_path / "second") == MANY + 1
    assert service.probe("/healthz")[0] == 200
    service.kill()
    told.forget()
    serve()
    until(lambda: told.accepted(SLACK)[-1:] == [message(MANY - 1)], "last message", 60)
    assert [one for one in told.accepted(SLACK) if "Your" in one["text"]] == [message(n) for n in range(MANY)]


def backed_up(journal: Path, copy: Path) -> int:
    """Events in a copy that another process makes, by SQLite's own way."""
    program = """
import sqlite3, sys
journal, copy = map(sqlite3.connect, sys.argv[1:])
journal.backup(copy)
print(copy.execute("SELECT count(*) FROM events").fetchone()[0])
journal.close()
"""
    return int(subprocess.check_output([sys.executable, "-c", program, journal, copy], timeout=30))


def test_a_kill_amid_the_work_repeats_at_most_what_was_in_flight(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    told.script(SLACK, {"delay": 0.02, "times": -1})
    service = serve(WEBHOOK_URL="", WEBHOOK_SECRET="")
    service.wait_until_connected()
    for number in range(MANY):
        tutum.send(container(number))
    until(lambda: service.probe()[1]["counts"]["events"] == MANY + 1, "event taken")
    told.wait_for(SLACK, MANY // 4)
    service.kill()
    again = serve(WEBHOOK_URL="", WEBHOOK_SECRET="")
    until(lambda: message(MANY - 1) in told.accepted(SLACK), "last message", 60)
    assert again.terminate() == 0
    bodies = told.accepted(SLACK)
    wanted = [message(number) for number in range(MANY)]
    # The one in flight, and what had arrived and was being written down.
    repeated = len(bodies) - MANY
    assert 0 <= repeated <= IN_DOUBT
    assert any(bodies == wanted[:end] + wanted[end - repeated :] for end in range(repeated, MANY + 1))


@pytest.mark.parametrize("delivered", [True, False])
def test_a_trigger_is_followed_by_its_resolve_though_the_service_is_killed_in_between(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations, delivered: bool
) -> None:
    service = serve()
    service.wait_until_connected()
    told.wait_for(PAGERDUTY_V1, 1)
    if not delivered:
        told.script(PAGERDUTY_V1, {"status": 500, "times": -1})
    tutum.kill()
    until(lambda: len(told.requests(PAGERDUTY_V1)) >= 2, "trigger")
    if delivered:
        service.kill_at_rest()
    else:
        service.kill()
    told.forget()
    tutum.start()
    serve().wait_until_connected()
    actions = ["resolve"] if delivered else ["trigger", "resolve"]
    bodies = told.wait_for(PAGERDUTY_V1, len(actions))
    assert [(body["incident_key"], body["event_type"]) for body in bodies] == [("tutum-stream", one) for one in actions]


def test_every_trouble_of_slack_is_treated_for_what_it_is_and_delays_nobody_else(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    service = serve(PAGERDUTY_ON_DELETE="container")
    service.wait_until_connected()
    gone = {"status": 404, "body": "no_service", "times": -1}
    told.script(SLACK, {"status": 429, "headers": {"Retry-After": "2"}}, {}, {"status": 500}, {}, {"cut": "before"}, {})
    told.script(SLACK, {"hang": "during"}, {}, {"status": 400, "body": "invalid_payload"}, gone)

    def gap(name: str, attempts: int) -> float:
        """Delete this container; gives the seconds between the two attempts, PagerDuty told long before."""
        tutum.send(container(name, "delete"))
        until(lambda: pages(told)[-1:] == [deleted(name)], f"page for {name}", MARGIN)
        until(lambda: len(told.requests(SLACK)) == attempts, f"attempt {attempts}", 16)
        first, second = (one["at"] for one in told.requests(SLACK)[-2:])
        return float(second - first)

    # As long as it asked for; else a second, at most two, after the first failure.
    assert 2 <= gap("limited", 2) < 2 + MARGIN
    assert 1 <= gap("failing", 4) < 2 + MARGIN
    assert 1 <= gap("cut", 6) < 2 + MARGIN
    # Ten seconds for the whole exchange, its body included.
    assert 11 <= gap("hanging", 8) < 12 + MARGIN
    assert told.accepted(SLACK)[:3] == [message(name, "delete") for name in ("limited", "failing", "cut")]

    # Refused for what it is: given up. Then nobody is there any more: held.
    gap("refused", 9)
    assert "it answered 400" in service.wait_for_line("slack: gave up delivery")
    gap("held", 10)
    held = service.wait_for_line("slack is held: it answered 404: there is nothing at this address")
    key = "tutumstream-destination/slack"
    about = until(lambda: [one for one in told.accepted(PAGERDUTY_V1) if one["incident_key"] == key], "page", MARGIN)
    assert [one["event_type"] for one in about] == ["trigger"]
    assert about[0]["description"] in held
    status, ready = service.probe()
    assert (status, ready["destinations"]["pagerduty"]) == (200, "ok")
    assert ready["destinations"]["slack"].startswith("held")
    tutum.send(container("behind it", "delete"))
    until(lambda: pages(told)[-1:] == [deleted("behind it")], "page", MARGIN)
    time.sleep(0.5)
    assert len(told.requests(SLACK)) == 10
    assert service.terminate() == 0

    # Who mended the address and starts again has what was held at once.
    told.forget()
    serve()
    assert told.wait_for(SLACK, 2) == [message(name, "delete") for name in ("held", "behind it")]


def test_pages_that_pagerduty_refuses_for_good_are_told_in_slack(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    told.script(PAGERDUTY_V1, {"status": 400, "body": '{"status":"invalid event"}', "times": 1})
    serve().wait_until_connected()
    refused = told.wait_for(SLACK, 1)[0]["text"]
    assert refused.startswith("pagerduty is refusing what it is sent: it answered 400")
    tutum.drop()
    assert [one["event_type"] for one in told.wait_for(PAGERDUTY_V1, 1)] == ["trigger"]
    assert told.wait_for(SLACK, 2)[1]["text"] == "pagerduty works again"
