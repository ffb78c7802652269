"""What the acceptance tests stand on: a scripted Tutum, scripted destinations, and services that end with the test."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.acceptance import early
from tests.acceptance.docker_engine import DockerEngine, EngineUnavailableError, OwnEngine
from tests.acceptance.own_image import built
from tests.acceptance.running_destinations import RunningDestinations
from tests.acceptance.service import RunningService, Serve, listening
from tests.running_tutum import RunningTutum

BEGUN_EARLY = ("demo", "silence", "no_answer", "full_disk", "long_stop", "lost_nodes")
"""Fixtures that take their time by their nature: they begin before the first test, and are looked at last."""


ENGINES = ("engine", "own_engine", "manager")
"""Fixtures that are Docker Engines."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses an engine; what was begun early has had its time at the end."""
    for item in items:
        if any(_uses(item, name) for name in ENGINES):
            item.add_marker("engine")
    items.sort(key=lambda item: any(_uses(item, name) for name in BEGUN_EARLY))


UNHURRIED = {"SLACK_RATE": "none", "PAGERDUTY_RATE": "none"}
"""Destinations of our own can be sent everything at once, one by one; test_manners.py is about the rates."""


@pytest.fixture(scope="session", autouse=True)
def _begun_early(request: pytest.FixtureRequest) -> None:
    for name in BEGUN_EARLY:
        if any(_uses(item, name) for item in request.session.items):
            with suppress(pytest.skip.Exception):  # told by the test that uses it
                request.getfixturevalue(name)


def _uses(item: pytest.Item, name: str) -> bool:
    return name in getattr(item, "fixturenames", ())


@pytest.fixture
def tutum() -> Iterator[RunningTutum]:
    """A fresh one for each test."""
    with RunningTutum() as running:
        yield running


@pytest.fixture(scope="session")
def _destinations() -> Iterator[RunningDestinations]:
    with RunningDestinations() as running:
        yield running


@pytest.fixture
def told(_destinations: RunningDestinations) -> RunningDestinations:
    """Everybody who can be told; whatever an earlier test told or asked of them is forgotten."""
    _destinations.forget()
    return _destinations


@pytest.fixture
def prepare(tmp_path: Path, tutum: RunningTutum, told: RunningDestinations) -> Serve:
    """The way to a service that does not run yet."""

    def make(*options: str, name: str = "service", **environment: str) -> RunningService:
        wanted = {**listening(tutum), **told.environment(), **UNHURRIED, **environment}
        if not wanted["PAGERDUTY_KEY"]:
            del wanted["PAGERDUTY_URL"]
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
def own_engine() -> Iterator[OwnEngine]:
    """A Docker Engine of our own, which a test may stop and torment; it must leave it running."""
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
def engine(request: pytest.FixtureRequest) -> DockerEngine:
    """A Docker Engine for containers: the one that `TUTUMSTREAM_TEST_DOCKER_HOST` names, else our own."""
    host = os.environ.get("TUTUMSTREAM_TEST_DOCKER_HOST")
    if not host:
        own: OwnEngine = request.getfixturevalue("own_engine")
        return own
    given = DockerEngine(host)
    given.load_image()
    return given


@pytest.fixture(scope="session")
def image(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of an image of tutumstream, as it is now."""
    try:
        name = built(engine, tmp_path_factory.mktemp("context"))
    except EngineUnavailableError as problem:
        pytest.skip(str(problem))
    yield name
    engine.docker("rmi", "--force", name)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningService, RunningDestinations]]:
    """The demo, and the destinations that its environment names, as proxies too."""
    with early.demo(tmp_path_factory.mktemp("demo")) as found:
        yield found


@pytest.fixture(scope="session")
def silence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[early.Troubled]:
    """A service whose Tutum answers no ping until it was given up once."""
    with early.troubled(tmp_path_factory.mktemp("silence"), "silent", "Closed (code") as found:
        yield found


@pytest.fixture(scope="session")
def no_answer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[early.Troubled]:
    """A service whose Tutum does not answer the upgrade until it was given up once."""
    with early.troubled(tmp_path_factory.mktemp("no_answer"), "hang", "can't be reached") as found:
        yield found


@pytest.fixture(scope="session")
def full_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[early.Troubled]:
    """A service whose disk is full until PagerDuty hears of that."""
    with early.full_disk(tmp_path_factory.mktemp("full_disk")) as found:
        yield found


@pytest.fixture(scope="session")
def long_stop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[early.Stopping]:
    """A service that is told to stop while Slack hangs."""
    with early.long_stop(tmp_path_factory.mktemp("long_stop")) as found:
        yield found


@pytest.fixture(scope="session")
def lost_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[early.Killed]:
    """A service that was killed before it was to page for two lost nodes."""
    with early.lost_nodes(tmp_path_factory.mktemp("lost_nodes")) as found:
        yield found
