"""No secret is shown, wherever a run may take it: every secret that is set is searched for in all that can be seen."""

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.acceptance.network import connect_proxy
from tests.acceptance.running_destinations import PAGERDUTY_V1, RunningDestinations
from tests.acceptance.service import RunningService, Serve, container, until
from tests.running_tutum import RunningTutum

pytestmark = pytest.mark.acceptance

TOKEN = "t0k3n+of/alice=?"
AUTH = "dGhlIHdob2xlIGhlYWRlcg=="
SLACK_PATH = "/services/TSECRET01/BSECRET02/hush3hush4"
HOOK_PATH = "/webhook/hush5"
HOOK_PASSWORD = "hush6"
PROXY_PASSWORD = "hush7"
KEY = "fedcba9876543210fedcba9876543210"
SIGNING = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

SECRETS = (TOKEN, AUTH, SLACK_PATH, "hush3hush4", HOOK_PATH, "hush5", HOOK_PASSWORD, PROXY_PASSWORD, KEY, SIGNING)
USERS = ("alice", "hook", "carol")


def forms(secret: str) -> Iterable[str]:
    """All the ways in which it may be written."""
    yield from (secret, quote(secret), quote(secret, safe=""), quote_plus(secret))
    yield base64.b64encode(secret.encode()).decode()
    for user in USERS:
        yield base64.b64encode(f"{user}:{secret}".encode()).decode()


def visible(service: RunningService) -> str:
    """What others can see of a service that runs: its lines, its pages, its title, and what it keeps."""
    seen = [*service.lines, *service.errors]
    if service.status is None:
        seen += [str(service.probe(path)) for path in ("/readyz", "/healthz")]
        seen.append(Path(f"/proc/{service.pid}/cmdline").read_text())
    seen += [file.read_bytes().decode("latin-1") for file in service.state_dir.glob("*")]
    return "\n".join(seen)


def assert_discreet(service: RunningService) -> None:
    text = visible(service)
    assert [secret for secret in SECRETS if any(form in text for form in forms(secret))] == []


def hooked(told: RunningDestinations) -> str:
    return told.origin.replace("//", f"//hook:{HOOK_PASSWORD}@") + HOOK_PATH


def echo(secret: str, status: int, times: int = 1) -> dict[str, object]:
    """An answer that repeats what it was sent."""
    return {"status": status, "body": f"I was sent {secret}", "times": times}


def test_a_whole_run_through_a_proxy_shows_none(serve: Serve, tutum: RunningTutum, told: RunningDestinations) -> None:
    answers: tuple[dict[str, object], ...] = (
        {},
        {"cut": "during"},
        {},
        echo(SLACK_PATH, 400),
        echo(SLACK_PATH, 404, -1),
    )
    told.script(SLACK_PATH, echo(SLACK_PATH, 500), *answers)
    told.script(PAGERDUTY_V1, echo(KEY, 500), echo(KEY, 400), {})
    told.script(HOOK_PATH, {"status": 302, "headers": {"Location": hooked(told)}, "times": -1})
    with connect_proxy("carol", PROXY_PASSWORD) as (port, _):
        service = serve(
            TUTUM_TOKEN=TOKEN,
            SLACK_URL=told.origin + SLACK_PATH,
            PAGERDUTY_KEY=KEY,
            PAGERDUTY_ON_DELETE="container",
            WEBHOOK_URL=hooked(told),
            WEBHOOK_SECRET=f"whsec_{SIGNING}",
            HTTP_PROXY=f"http://carol:{PROXY_PASSWORD}@127.0.0.1:{port}",
            TUTUMSTREAM_LOG_LEVEL="debug",
        )
        service.wait_until_connected()
        for number in range(8):
            tutum.send(container(number, "delete"))
        tutum.send(f'{{"type": "{TOKEN[:5]}"}}')
        service.wait_for_line("slack: gave up delivery", 30)
        service.wait_for_line("slack is held", 30)
        service.wait_for_line("webhook is held")
        service.wait_for_line("pagerduty: gave up delivery")
        tutum.mode("unauthorized")
        tutum.drop()
        service.wait_for_line("refuses the credentials")
        until(lambda: service.probe()[0] == 503, "word that it is not ready")
        assert_discreet(service)
        assert service.terminate() == 0
    assert_discreet(service)


def test_a_stream_server_that_quotes_our_credentials_brings_none_to_light(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    header = base64.b64encode(f"alice:{TOKEN}".encode()).decode()
    service = serve(TUTUM_TOKEN=TOKEN, TUTUMSTREAM_LOG_LEVEL="debug")
    service.wait_until_connected()
    for quoted in (TOKEN, quote_plus(TOKEN), header):
        tutum.send(f"nonsense with {quoted}")
        tutum.send(json.dumps({"type": "error", "data": {"errorMessage": f"I was sent {quoted}"}}))
    tutum.close(4001, f"I was sent Basic {header}")
    service.wait_for_line("Closed (code 4001: I was sent Basic ***")
    until(lambda: len(told.accepted(PAGERDUTY_V1)) >= 3, "page and its end")
    assert not [form for form in forms(TOKEN) if form in json.dumps(told.accepted(PAGERDUTY_V1))]
    assert_discreet(service)
    assert service.terminate() == 0
    assert_discreet(service)


@pytest.mark.parametrize("form", ["pair", "header"])
def test_secrets_from_files_and_in_the_query_are_not_shown_either(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations, tmp_path: Path, form: str
) -> None:
    secrets = {
        "SLACK_URL": told.origin + SLACK_PATH,
        "PAGERDUTY_KEY": KEY,
        "WEBHOOK_URL": hooked(told),
        "WEBHOOK_SECRET": f"whsec_{SIGNING}",
        **({"TUTUM_TOKEN": TOKEN} if form == "pair" else {"TUTUM_AUTH": f"Basic {AUTH}"}),
    }
    files: dict[str, str] = {}
    for name, secret in secrets.items():
        (tmp_path / name).write_text(f"{secret}\n")
        files |= {f"{name}_FILE": str(tmp_path / name), name: ""}
    service = serve(**{"TUTUM_TOKEN": "", **files}, TUTUM_STREAM_AUTH="query", TUTUMSTREAM_LOG_LEVEL="debug")
    service.wait_until_connected()
    tutum.send(container(1))
    until(lambda: told.accepted(SLACK_PATH) and told.accepted(HOOK_PATH), "message")
    (asked,) = (one["uri"] for one in tutum.requests() if "/events" in one["uri"])
    assert any(form in asked for form in forms(TOKEN if form == "pair" else AUTH))
    tutum.mode("refuse")
    tutum.drop()
    service.wait_for_line("refuses the credentials")
    assert_discreet(service)
    assert service.terminate() == 0
    assert_discreet(service)


def test_neither_a_proxy_that_refuses_nor_a_dead_server_brings_one_to_light(serve: Serve, tutum: RunningTutum) -> None:
    with connect_proxy("carol", "another") as (port, _):
        service = serve(
            TUTUM_TOKEN=TOKEN,
            TUTUM_STREAM_AUTH="query",
            HTTP_PROXY=f"http://carol:{PROXY_PASSWORD}@127.0.0.1:{port}",
            TUTUMSTREAM_LOG_LEVEL="debug",
        )
        service.wait_for_line("the stream can't be reached")
        service.wait_for_line("pagerduty is failing")
        assert_discreet(service)
        assert service.terminate() == 0
    tutum.kill()
    service = serve(TUTUM_TOKEN=TOKEN, TUTUM_STREAM_AUTH="query", TUTUMSTREAM_LOG_LEVEL="debug", name="another")
    service.wait_for_line("the stream can't be reached")
    assert_discreet(service)


def test_mistakes_are_told_without_the_values(prepare: Serve, told: RunningDestinations) -> None:
    with prepare(
        TUTUM_TOKEN=TOKEN,
        TUTUM_STREAM_URL=f"wss://alice:{HOOK_PASSWORD}@:0/v1/",
        TUTUM_BASE_URL=f"ftp://alice:{HOOK_PASSWORD}@tutum.example/",
        TUTUM_STREAM_AUTH=TOKEN,
        SLACK_URL=f"hooks.example{SLACK_PATH}",
        PAGERDUTY_KEY=KEY,
        PAGERDUTY_API=KEY,
        PAGERDUTY_URL=KEY,
        WEBHOOK_URL=hooked(told).replace("http://", "ftp://"),
        WEBHOOK_SECRET=f"whsec_{SIGNING}!",
        HTTP_PROXY=f"socks5://carol:{PROXY_PASSWORD}@proxy.example:1080",
        HTTPS_PROXY=f"http://carol:{PROXY_PASSWORD}@proxy.example:port",
    ) as service:
        assert service.wait(30) == 1
        assert len(service.errors) >= 9
        assert_discreet(service)
