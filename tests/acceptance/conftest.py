"""What the acceptance tests stand on: a scripted Tutum, scripted destinations, and services that end with the test."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.acceptance.docker_engine import DockerEngine, EngineUnavailableError, OwnEngine
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
def prepare(tmp_path: Path, tutum: RunningTutum, told: RunningDestinations) -> Serve:
    """The way to a service that does not run yet."""

    def make(*options: str, name: str = "service", **environment: str) -> RunningService:
        wanted = {**listening(tutum), **told.environment(), **environment}
        return RunningService(tmp_path / name, {key: text for key, text in wanted.items() if text}, *options)

    return make


@pytest.fixture
def serve(prepare: Serve) -> Iterator[Serve]:
    """The way to a service that runs, and ends with the test."""
    with ExitStack() as running:

        def begin(*options: str, name: str = "service", **environment: str) -> RunningService:
            return running.enter_context(prepare(*options, name=name, **environment))

        yield begin


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    """A Docker Engine: the one that `TUTUMSTREAM_TEST_DOCKER_HOST` names, else one of our own."""
    if host := os.environ.get("TUTUMSTREAM_TEST_DOCKER_HOST"):
        given = DockerEngine(host)
        given.load_image()
        yield given
        return
    own = OwnEngine()
    try:
        try:
            own.start()
            own.load_image()
        except EngineUnavailableError as problem:
            pytest.skip(str(problem))
        yield own
    finally:
        own.destroy()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningService, RunningDestinations]]:
    """The demo, and the destinations that its environment names, as proxies too."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "tmp").mkdir()
    with RunningDestinations() as told:
        proxies = {"HTTP_PROXY": told.origin, "HTTPS_PROXY": told.origin}
        environment = {**told.environment(), **proxies, "TMPDIR": str(folder / "tmp")}
        with RunningService(folder, environment, "--demo") as service:
            # Its first seconds count: nothing else starts beside it.
            service.wait_for_line("[slack]")
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
