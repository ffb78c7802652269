"""What the acceptance tests stand on: a scripted Tutum, scripted destinations, and services that end with the test."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.acceptance.running_destinations import RunningDestinations
from tests.acceptance.service import RunningService, Serve, listening
from tests.running_tutum import RunningTutum

BEGUN_EARLY = ("demo", "silence", "no_answer")
"""Fixtures that need most of a minute by their nature: they begin before the first test, and are looked at last."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What was begun early has had its time at the end."""
    items.sort(key=lambda item: any(_uses(item, name) for name in BEGUN_EARLY))


@pytest.fixture(scope="session", autouse=True)
def _begun_early(request: pytest.FixtureRequest) -> None:
    for name in BEGUN_EARLY:
        if any(_uses(item, name) for item in request.session.items):
            request.getfixturevalue(name)


def _uses(item: pytest.Item, name: str) -> bool:
    return name in getattr(item, "fixturenames", ())


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


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningService, RunningDestinations]]:
    """The demo, and the destinations that its environment names."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "tmp").mkdir()
    with RunningDestinations() as told:
        environment = {**told.environment(), "TMPDIR": str(folder / "tmp"), "TUTUMSTREAM_STATE_DIR": ""}
        with RunningService(folder, environment, "--demo") as service:
            yield service, told


@contextmanager
def _troubled(
    folder: Path, mode: str, trouble: str
) -> Iterator[tuple[RunningService, RunningDestinations, RunningTutum]]:
    """A service whose Tutum is in a bad mode until the service's log says so."""
    with RunningTutum() as tutum, RunningDestinations() as told:
        tutum.mode(mode)
        with RunningService(folder, {**listening(tutum), **told.environment()}) as service:

            def relent() -> None:
                service.wait_for_line(trouble, 60)
                tutum.mode("open")

            waiting = threading.Thread(target=relent, daemon=True)
            waiting.start()
            yield service, told, tutum
            waiting.join(60)


@pytest.fixture(scope="session")
def silence(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RunningService, RunningDestinations, RunningTutum]]:
    """A service whose Tutum answers no ping until it was given up once."""
    with _troubled(tmp_path_factory.mktemp("silence"), "silent", "Closed (code") as found:
        yield found


@pytest.fixture(scope="session")
def no_answer(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RunningService, RunningDestinations, RunningTutum]]:
    """A service whose Tutum does not answer the upgrade until it was given up once."""
    with _troubled(tmp_path_factory.mktemp("no_answer"), "hang", "can't be reached") as found:
        yield found
