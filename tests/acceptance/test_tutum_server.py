"""The scripted Tutum does what it is told; the other acceptance tests rely on it."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.running_tutum import RunningTutum

pytestmark = pytest.mark.acceptance


@pytest.fixture
def tutum() -> Iterator[RunningTutum]:
    """A fresh one for each test."""
    with RunningTutum() as running:
        yield running


def listen(tutum: RunningTutum) -> ClientConnection:
    return connect(tutum.stream_url + "events", ping_interval=None)


def test_it_greets_sends_what_it_is_told_and_records_requests(tutum: RunningTutum) -> None:
    with listen(tutum) as client:
        assert json.loads(client.recv(timeout=5)) == {"type": "auth"}
        tutum.wait_for_clients()
        tutum.send('{"type": "x"}')
        tutum.send(b"\0\1", binary=True)
        assert client.recv(timeout=5) == '{"type": "x"}'
        assert client.recv(timeout=5) == b"\0\1"
        tutum.close(1001, "away & gone")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=5)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "away & gone")
    assert [one["uri"] for one in tutum.requests()] == ["/v1/events"]


def test_it_sends_what_no_server_may_send(tutum: RunningTutum) -> None:
    for wrong in (lambda: tutum.send(b"\xff\xfe"), lambda: tutum.send_bytes(b"\xff" * 10), tutum.drop):
        with listen(tutum) as client:
            client.recv(timeout=5)
            tutum.wait_for_clients()
            wrong()
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=5)
        tutum.wait_for_clients(0)


def test_it_refuses_and_hangs_up(tutum: RunningTutum) -> None:
    tutum.mode("refuse")
    with pytest.raises(InvalidStatus):
        listen(tutum)
    tutum.mode("unauthorized")
    with listen(tutum) as client:
        assert "UNAUTHORIZED" in str(client.recv(timeout=5))
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=5)
    tutum.mode("close")
    with listen(tutum) as client, pytest.raises(ConnectionClosed):
        client.recv(timeout=5)
    tutum.mode("hang")
    with pytest.raises(TimeoutError):
        connect(tutum.stream_url + "events", open_timeout=0.5)


def test_it_answers_pings_unless_it_is_silent(tutum: RunningTutum) -> None:
    with listen(tutum) as client:
        assert client.ping().wait(5)
        tutum.mode("silent")
        assert not client.ping().wait(0.5)
    assert tutum.state()["pings"] == 2


def test_it_answers_look_ups_from_the_corpus_late_or_with_errors(tutum: RunningTutum) -> None:
    def get(path: str) -> dict[str, object]:
        with urllib.request.urlopen(tutum.http_url + path, timeout=5) as answer:
            return dict(json.load(answer))

    stack = get("/api/v1/stack/")["objects"][0]  # type: ignore[index]  # a list
    assert get(stack["resource_uri"])["name"] == "shop"
    tutum.mode(rest_delay=0.5)
    began = time.monotonic()
    get(stack["resource_uri"])
    assert time.monotonic() - began >= 0.5
    tutum.mode(rest_status=500, rest_delay=0)
    with pytest.raises(urllib.error.HTTPError):
        get(stack["resource_uri"])


def test_it_comes_back_on_the_same_port_after_a_crash(tutum: RunningTutum) -> None:
    port = tutum.port
    tutum.kill()
    with pytest.raises(OSError, match="refused"):
        listen(tutum)
    tutum.start()
    assert tutum.port == port
    with listen(tutum) as client:
        assert client.recv(timeout=5)
