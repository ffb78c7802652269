"""TLS and proxies on the way to Tutum, for the stream and for the REST API alike."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from tests.acceptance.network import connect_proxy, tls_front
from tests.acceptance.running_destinations import PAGERDUTY_V1, SLACK, RunningDestinations
from tests.acceptance.service import Serve
from tests.running_tutum import RunningTutum

pytestmark = pytest.mark.acceptance

STACK = "/api/v1/stack/19026220-3723-44ef-8a1f-5ac48fcbad02/"
SERVICE = {
    "type": "service",
    "action": "update",
    "state": "Running",
    "resource_uri": "/api/v1/service/66c41317-4b95-4bf1-b736-468739753bb9/",
    "parents": [STACK],
}
TOLD = {
    "text": "A Service on Tutum was updated.\nIt belonged to the shop Stack.\nThe Stack state is: Running",
}


@contextmanager
def secured(tutum: RunningTutum, host: str, folder: Path, certified: str) -> Iterator[dict[str, str]]:
    """Tutum behind TLS at `host`, with a certificate for `certified`; gives the variables that name it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(certified).configure_cert(context)
    with tls_front(tutum.port, context) as port:
        yield {
            "TUTUM_STREAM_URL": f"wss://{host}:{port}/v1/",
            "TUTUM_BASE_URL": f"https://{host}:{port}/api/v1/",
            "SSL_CERT_FILE": str(folder / "authority.pem"),
        }


def test_a_certificate_that_can_be_verified_is_taken(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations, tmp_path: Path
) -> None:
    with secured(tutum, "localhost", tmp_path, "localhost") as way:
        service = serve(**way)
        service.wait_until_connected()
        tutum.send(json.dumps(SERVICE))
        assert told.wait_for(SLACK, 1) == [TOLD]
        assert service.terminate() == 0


@pytest.mark.parametrize(
    ("certified", "trusted", "sentence"),
    [
        ("localhost", False, "its certificate is not signed by an authority we trust, or is out of date; set SSL_CERT"),
        ("tutum.example", True, "its certificate is not valid for this name"),
    ],
)
def test_a_certificate_that_cant_be_verified_is_refused_and_the_log_says_why(
    serve: Serve,
    tutum: RunningTutum,
    told: RunningDestinations,
    tmp_path: Path,
    certified: str,
    trusted: bool,
    sentence: str,
) -> None:
    with secured(tutum, "localhost", tmp_path, certified) as way:
        service = serve(**way | ({} if trusted else {"SSL_CERT_FILE": ""}))
        assert sentence in service.wait_for_line("the stream can't be reached")
        assert told.wait_for(PAGERDUTY_V1, 1)[0]["event_type"] == "trigger"
        status, ready = service.probe()
        assert (status, ready["ready"]) == (503, False)
        assert sentence in ready["reasons"][0]
        assert tutum.requests() == []


def test_stream_and_look_ups_go_through_the_proxy_and_names_are_left_to_it(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations, tmp_path: Path
) -> None:
    host = "tutum.invalid"
    with secured(tutum, host, tmp_path, host) as way, connect_proxy("carol", "pr0xy") as (port, asked):
        service = serve(**way, HTTPS_PROXY=f"http://carol:pr0xy@127.0.0.1:{port}")
        service.wait_until_connected()
        tutum.send(json.dumps(SERVICE))
        assert told.wait_for(SLACK, 1) == [TOLD]
        target = way["TUTUM_BASE_URL"].split("/")[2]
        assert asked == [target, target]


def test_a_proxy_that_refuses_us_is_told_in_words(serve: Serve, tutum: RunningTutum, tmp_path: Path) -> None:
    with secured(tutum, "localhost", tmp_path, "localhost") as way, connect_proxy("carol", "pr0xy") as (port, asked):
        service = serve(**way, HTTPS_PROXY=f"http://carol:wrong@127.0.0.1:{port}")
        assert "407" in service.wait_for_line("the stream can't be reached")
        assert asked == []
