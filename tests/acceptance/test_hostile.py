"""What no good server sends: all of it is survived, nothing of it does harm."""

import base64
import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.running_destinations import SLACK, WEBHOOK, RunningDestinations
from tests.acceptance.service import Serve, container, message, until
from tests.running_tutum import RunningTutum

pytestmark = pytest.mark.acceptance

EVENTS = Path(__file__).parent.parent / "corpus" / "tutum" / "events"
RESOURCE_URI = re.compile(r"/api/v1/[a-z]+/[A-Za-z0-9._/-]+/")
CONSOLE_LINE = re.compile(r"\d\d:\d\d:\d\d (?:debug|info|warn|error|critical) ")

MESSAGE_LIMIT = 1024 * 1024
ROUNDS, WARM, LOOKS = 20, 5, 5
LEAK = 4 * 1024
"""KiB that the rounds between the first looks and the last may cost for good: half of what they send."""


def hostile() -> list[tuple[str, bool, bytes]]:
    """Each payload with its name, and whether it goes out as a binary frame."""
    index = json.loads((EVENTS / "hostile.index.json").read_text())
    lines = (EVENTS / "hostile.jsonl").read_text().splitlines()
    found = [
        (each["name"], each["frame"] == "binary", base64.b64decode(json.loads(line)))
        for each, line in zip(index, lines, strict=True)
    ]
    assert len(found) == 89
    assert [len(payload) for *_, payload in found] == [each["bytes"] for each in index]
    return found


def say_good(tutum: RunningTutum, told: RunningDestinations, number: int) -> None:
    """Send a good event; returns when Slack was told, and with it of everything before."""
    name = f"good-{number}"
    tutum.send(container(name))
    until(lambda: message(name) in told.accepted(SLACK), f"{name} in Slack", 60)
    uri = f"/api/v1/container/{name}/"
    until(lambda: any(body["data"]["resource_uri"] == uri for body in told.accepted(WEBHOOK)), f"{name} told", 60)


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """A proxy that lets nothing through; gives its URL and what it was asked for."""
    server = socket.create_server(("127.0.0.1", 0))
    asked: list[str] = []

    def listen() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                asked.append(client.recv(1024).decode("latin-1"))

    threading.Thread(target=listen, daemon=True).start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def test_all_hostile_messages_are_survived_on_one_connection_and_the_good_one_after_them_is_told(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations, elsewhere: tuple[str, list[str]]
) -> None:
    proxy, asked_elsewhere = elsewhere
    service = serve(
        HTTP_PROXY=proxy,
        HTTPS_PROXY=proxy,
        NO_PROXY="127.0.0.1",
        TUTUMSTREAM_LOG_FORMAT="console",
        TUTUMSTREAM_LOG_LEVEL="debug",
    )
    service.wait_until_connected()
    for name, binary, payload in hostile():
        tutum.send(payload, binary=binary)
        if len(payload) > MESSAGE_LIMIT:
            # The protocol's own way to refuse a message for its size; then the next connection.
            closed = service.wait_for_line("Closed (code")
            assert "Closed (code 1009" in closed, name
            service.wait_until_connected(2)
    say_good(tutum, told, 1)
    assert tutum.state()["connections"] == 2
    assert [line for line in service.lines if "Closed" in line] == [closed]

    assert_nothing_was_fetched_but_resources(tutum)
    assert asked_elsewhere == []
    for body in told.accepted(SLACK):
        assert re.search("[<>]", body["text"]) is None
        assert re.search("&(?!amp;|lt;|gt;)", body["text"]) is None
    assert service.terminate() == 0
    assert service.errors == []
    for line in service.lines:
        assert CONSOLE_LINE.match(line), line
        assert line.isprintable(), line


def assert_nothing_was_fetched_but_resources(tutum: RunningTutum) -> None:
    uris = [one["uri"] for one in tutum.requests() if one["uri"] != "/v1/events" and "?limit=" not in one["uri"]]
    assert [uri for uri in uris if ".." in uri or not RESOURCE_URI.fullmatch(uri)] == []


def test_markup_reaches_slack_as_text(serve: Serve, tutum: RunningTutum, told: RunningDestinations) -> None:
    service = serve()
    service.wait_until_connected()
    markup = {
        **json.loads(container("x")),
        "action": "<!channel> &lt; create",
        "resource_uri": "<https://evil.example|/api/v1/x/>\n*now*",
    }
    tutum.send(json.dumps(markup))
    assert told.wait_for(SLACK, 1) == [
        {
            "text": "Your container was &lt;!channel&gt; &amp;lt; created on Tutum!\n"
            "Check &lt;https://evil.example|/api/v1/x/&gt;\n*now* to see more details."
        }
    ]


def test_hostile_messages_leave_no_memory_behind(serve: Serve, tutum: RunningTutum, told: RunningDestinations) -> None:
    service = serve()
    service.wait_until_connected()
    messages = [(payload, binary) for _, binary, payload in hostile() if len(payload) <= MESSAGE_LIMIT]
    sizes = []
    for number in range(ROUNDS):
        for payload, binary in messages:
            tutum.send(payload, binary=binary)
        say_good(tutum, told, number)
        sizes.append(service.resident())
        told.forget()
    assert tutum.state()["connections"] == 1
    # What an allocator holds at one moment is chance; the least of a few looks is not.
    before, after = min(sizes[WARM : WARM + LOOKS]), min(sizes[-LOOKS:])
    assert after - before < LEAK, sizes
