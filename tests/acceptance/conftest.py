"""What the acceptance tests stand on: a scripted Tutum, scripted destinations, and services that end with the test."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.acceptance.running_destinations import RunningDestinations
from tests.acceptance.service import RunningService
from tests.running_tutum import RunningTutum

USER, TOKEN = "alice", "k3y"


class Serve(Protocol):
    """Starts a service, by default one that listens to `tutum` and tells `told`."""

    def __call__(self, *options: str, name: str = "service", start: bool = True, **environment: str) -> RunningService:
        """Variables with the value "" are left out; the same `name` is the same state folder."""


@pytest.fixture
def tutum() -> Iterator[RunningTutum]:
    """A fresh one for each test."""
    with RunningTutum() as running:
        yield running


@pytest.fixture
def told() -> Iterator[RunningDestinations]:
    """Everybody who can be told."""
    with RunningDestinations() as running:
        yield running


@pytest.fixture
def serve(tmp_path: Path, tutum: RunningTutum, told: RunningDestinations) -> Iterator[Serve]:
    """The way to start a service."""
    with ExitStack() as running:

        def begin(*options: str, name: str = "service", start: bool = True, **environment: str) -> RunningService:
            wanted = {**listening(tutum), **told.environment(), **environment}
            service = RunningService(tmp_path / name, {key: text for key, text in wanted.items() if text}, *options)
            if start:
                running.enter_context(service)
            return service

        yield begin


def listening(tutum: RunningTutum) -> dict[str, str]:
    """The variables that make a service listen there."""
    return {
        "TUTUM_USERNAME": USER,
        "TUTUM_TOKEN": TOKEN,
        "TUTUM_STREAM_URL": tutum.stream_url,
        "TUTUM_BASE_URL": f"{tutum.http_url}/api/v1/",
    }
