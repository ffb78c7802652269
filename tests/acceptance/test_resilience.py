"""The stream is lost in every way that a stream can be lost; the service is back by itself, and has paged."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.early import WAITING, Troubled
from tests.acceptance.running_destinations import PAGERDUTY_V1, SLACK, RunningDestinations
from tests.acceptance.service import RunningService, Serve, container, message, until
from tests.acceptance.small_disk import fill, small_disk
from tests.running_tutum import RunningTutum

pytestmark = pytest.mark.acceptance

MARGIN = 2.0
"""Seconds that a busy machine may take for what should take none."""

FIRST_PAUSE = 2.0 + MARGIN
"""Seconds until the first new try, at most."""


def pages(told: RunningDestinations, count: int, timeout: float = 15.0) -> list[str]:
    """What became of our own incident, in order, once that much has."""
    bodies = told.wait_for(PAGERDUTY_V1, count, timeout)
    assert {body["incident_key"] for body in bodies} == {"tutum-stream"}
    return [body["event_type"] for body in bodies]


def assert_back(service: RunningService, tutum: RunningTutum, told: RunningDestinations, name: str) -> None:
    """It listens and tells."""
    until(lambda: tutum.state()["clients"] == 1, "client")
    tutum.send(container(name))
    assert told.wait_for(SLACK, 1)[-1] == message(name)
    assert service.probe()[0] == 200


def test_a_server_that_is_killed_and_comes_back_is_found_again(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    service = serve()
    service.wait_until_connected()
    assert pages(told, 1) == ["resolve"]
    tutum.kill()
    assert pages(told, 2) == ["resolve", "trigger"]
    until(lambda: service.probe()[0] == 503, "word that it is not ready")
    tutum.start()
    service.wait_until_connected(2, 4 + FIRST_PAUSE)
    assert pages(told, 3) == ["resolve", "trigger", "resolve"]
    assert_back(service, tutum, told, "after")


def test_a_server_that_is_not_there_at_the_start_pages_once_and_is_found_when_it_comes(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    tutum.kill()
    service = serve()
    service.wait_for_line(f"the stream can't be reached: ws://127.0.0.1:{tutum.port}: it refused the connection")
    assert pages(told, 1) == ["trigger"]
    status, ready = service.probe()
    assert status == 503
    assert "it refused the connection" in ready["reasons"][0]
    tutum.start()
    service.wait_until_connected(timeout=4 + FIRST_PAUSE)
    assert pages(told, 2) == ["trigger", "resolve"]
    assert_back(service, tutum, told, "after")
    assert len(service.told(level="warn")) == 1


@pytest.mark.parametrize("way", ["close", "drop"])
def test_a_connection_that_ends_is_made_again(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations, way: str
) -> None:
    service = serve()
    service.wait_until_connected()
    tutum.send(container("before"))
    told.wait_for(SLACK, 1)
    told.forget()
    if way == "close":
        tutum.close(1001, "going away")
        service.wait_for_line("Closed (code 1001: going away)")
    else:
        tutum.drop()
        service.wait_for_line("Closed (code 1006: the connection was cut)")
    service.wait_until_connected(2, FIRST_PAUSE)
    assert pages(told, 2) == ["trigger", "resolve"]
    assert_back(service, tutum, told, "after")


def test_a_server_that_accepts_and_hangs_up_is_not_hammered(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    tutum.mode("close")
    service = serve()
    until(lambda: tutum.state()["connections"], "connection")
    began = time.monotonic()
    until(lambda: tutum.state()["connections"] >= 2, "second connection", FIRST_PAUSE)
    assert time.monotonic() - began >= 0.9
    tutum.mode("open")
    service.wait_until_connected(timeout=4 + MARGIN)
    assert pages(told, 5) == ["resolve", "trigger", "resolve", "trigger", "resolve"]
    assert_back(service, tutum, told, "after")


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("unauthorized", "the server answered UNAUTHORIZED"), ("refuse", "the server answered 401")],
)
def test_refused_credentials_are_told_once_and_tried_again_but_rarely(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations, mode: str, reason: str
) -> None:
    tutum.mode(mode)
    service = serve()
    line = service.wait_for_line("refuses the credentials")
    for name in (reason, "TUTUM_USERNAME", "TUTUM_TOKEN", "TUTUM_AUTH"):
        assert name in line
    until(lambda: "refused" in str(service.probe()[1].get("reasons")), "word of the refusal")
    status, ready = service.probe()
    assert status == 503
    (why,) = ready["reasons"]
    assert why.startswith("stream: refused: ")
    assert why.endswith(reason)
    # Nothing is to come, so there is nothing to wait for but time.
    time.sleep(3)
    assert len([one for one in tutum.requests() if one["uri"] == "/v1/events"]) == 1
    assert len(service.told(level="error")) == 1
    # An upgrade that is accepted opens the stream, refused or not.
    opened = ["resolve"] if mode == "unauthorized" else []
    assert pages(told, 1 + len(opened)) == [*opened, "trigger"]


def test_look_ups_that_fail_or_take_too_long_hold_no_message_back(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    service = serve()
    service.wait_until_connected()
    unknown = {"text": "A Service on Tutum was updated.\nIt belonged to the (unknown) Stack.\n"}
    unknown["text"] += "The Stack state is: (unknown)"
    tutum.mode(rest_status=500)
    tutum.send(service_of("19026220-3723-44ef-8a1f-5ac48fcbad02"))
    assert told.wait_for(SLACK, 1, 2 + MARGIN) == [unknown]
    tutum.mode(rest_status=0, rest_delay=60)
    tutum.send(service_of("another"))
    # Five seconds, the promise's most.
    assert told.wait_for(SLACK, 2, 5 + MARGIN) == [unknown, unknown]
    tutum.send(container("after"))
    assert told.wait_for(SLACK, 3, MARGIN)[2] == message("after")


def service_of(stack: str) -> str:
    """An event of a service in this stack."""
    uri = "/api/v1/service/66c41317-4b95-4bf1-b736-468739753bb9/"
    return container("x").replace("/api/v1/container/x/", uri).replace('"container"', '"service"').replace(
        '"parents": []', f'"parents": ["/api/v1/stack/{stack}/"]'
    )  # fmt: skip


def test_a_server_that_never_answers_the_upgrade_is_given_up_and_tried_again(
    no_answer: Troubled,
) -> None:
    service, told, _ = no_answer
    service.wait_until_connected(timeout=15 + FIRST_PAUSE + MARGIN)
    assert "it did not answer the upgrade in time" in service.wait_for_line("can't be reached")
    assert service.said_at("Auth completed") - service.said_at("can't be reached") < FIRST_PAUSE
    assert pages(told, 2) == ["trigger", "resolve"]


def test_a_peer_that_died_without_a_word_is_noticed_within_forty_seconds(
    silence: Troubled,
) -> None:
    service, told, tutum = silence
    service.wait_until_connected(2, 40 + FIRST_PAUSE + MARGIN)
    assert "it did not answer a ping in time" in service.wait_for_line("Closed (code 1006")
    assert service.said_at("Closed (code") - service.said_at("Auth completed") < 40 + MARGIN
    entries: list[dict[str, Any]] = [one for one in service.entries() if one["event"] == "Connected"]
    assert len(entries) == 2
    assert pages(told, 3) == ["resolve", "trigger", "resolve"]
    assert tutum.state()["pings"] >= 1


def test_a_full_disk_pages_though_nothing_can_be_written_and_afterwards_all_is_told(
    full_disk: Troubled,
) -> None:
    service, told, _ = full_disk
    service.wait_for_line("can be written again", 120)
    assert pages(told, 3, 30) == ["resolve", "trigger", "resolve"]
    trouble, over = told.accepted(PAGERDUTY_V1)[1:]
    assert "the disk is full" in trouble["description"]
    assert trouble["incident_key"] == over["incident_key"] == "tutum-stream"
    said = told.wait_for(SLACK, WAITING + 2)
    assert [one for one in said if "container" in one["text"]] == [message(n, "update") for n in range(WAITING)]
    others = [one["text"] for one in said if "container" not in one["text"]]
    assert others == [trouble["description"], over["description"]]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """The service's state folder, on a small disk of its own."""
    folder = tmp_path / "service" / "state"
    with small_disk(folder, "8m"):
        yield folder


def test_stopped_on_a_full_disk_it_says_so_and_started_on_one_it_pages(
    state: Path, serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    service = serve()
    assert pages(told, 1) == ["resolve"]
    rest = fill(state)
    for number in range(WAITING):
        tutum.send(container(number))
    service.wait_for_line("the disk is full")
    assert service.terminate(30) == 0
    assert pages(told, 2) == ["resolve", "trigger"]
    words = told.accepted(PAGERDUTY_V1)[-1]["description"]
    assert "tutumstream is stopped, and its journal can't grow, the disk is full" in words
    assert told.accepted(SLACK)[-1]["text"].startswith(words)

    service.start()
    assert service.wait(20) == 1
    assert pages(told, 3) == ["resolve", "trigger", "trigger"]
    assert "tutumstream can't begin: journal" in told.accepted(PAGERDUTY_V1)[-1]["description"]
    said = len(told.accepted(SLACK))

    rest.unlink()
    service.start()
    service.wait_until_connected()
    assert pages(told, 4)[3:] == ["resolve"]
    assert not [one for one in told.accepted(SLACK)[said:] if "can't begin" in one["text"]]


@pytest.mark.parametrize("table", ["standings", "opens"])
def test_a_journal_that_is_damaged_wherever_it_is_read_first_pages(
    serve: Serve, told: RunningDestinations, table: str
) -> None:
    service = serve()
    assert pages(told, 1) == ["resolve"]
    assert service.terminate() == 0
    pages(told, 2)
    path = service.state_dir / "journal.sqlite3"
    with closing(sqlite3.connect(path)) as journal:
        (page,) = journal.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        (size,) = journal.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)
    service.start()
    assert service.wait(20) == 1
    assert pages(told, 3)[2:] == ["trigger"]
    assert "tutumstream can't begin: journal" in told.accepted(PAGERDUTY_V1)[-1]["description"]
