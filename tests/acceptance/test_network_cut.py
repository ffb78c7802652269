"""A real engine goes on while the network between its gateway and tutumstream is cut: the last states are told, once.

The cut lasts a few seconds here, in which 20 containers change. A long one, in which 50 do, and another without a word,
which it takes 40 seconds to notice:

    TUTUMSTREAM_TEST_CUT=60 python -m pytest tests/acceptance/test_network_cut.py
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.docker_engine import IMAGE, DockerEngine
from tests.acceptance.network import Cable
from tests.acceptance.running_destinations import WEBHOOK, RunningDestinations
from tests.acceptance.service import Serve, until
from tests.acceptance.test_gateway_restart import RunningGateway

pytestmark = pytest.mark.acceptance

LONGER = float(os.environ.get("TUTUMSTREAM_TEST_CUT", "0"))
"""Seconds that the cut lasts at least."""

EACH = 10 if LONGER else 4
"""Containers of each fate."""

QUIET = 3.0
"""Seconds in which whatever is told twice, or falsely, would have come."""

Told = tuple[str, str, str]


class Crowd:
    """Containers by what becomes of them: five fates in which they change, of which the last ends as it began, and one
    in which they do not."""

    FATES = ("stops", "goes", "starts", "comes", "returns", "stays")

    def __init__(self, engine: DockerEngine) -> None:
        self._engine = engine
        self.names = {fate: [f"cut{os.getpid()}-{fate}-{number}" for number in range(EACH)] for fate in self.FATES}

    def gather(self) -> None:
        """As it is before the cut."""
        self._each(self._create, *(name for fate in self.FATES if fate != "comes" for name in self.names[fate]))
        self._at_once("start", "stops", "goes", "returns", "stays")

    def change(self) -> None:
        """Everything to its fate."""
        self._each(self._create, *self.names["comes"])
        self._at_once("kill", "stops", "goes", "returns")
        self._at_once("rm", "goes")
        self._at_once("start", "starts", "comes", "returns")

    def remove(self) -> None:
        self._engine.remove(*(name for names in self.names.values() for name in names))

    def expected(self) -> Counter[Told]:
        """What there is to tell of it, by name, action and state."""
        ends = {
            "stops": ("update", "Stopped"),
            "goes": ("delete", "Terminated"),
            "starts": ("update", "Running"),
            "comes": ("create", "Running"),
        }
        return Counter((name, *end) for fate, end in ends.items() for name in self.names[fate])

    def _create(self, name: str) -> None:
        self._engine.docker("create", "--network", "none", "--name", name, IMAGE, "sleep", "1000")

    def _at_once(self, what: str, *fates: str) -> None:
        # Each client is a process: two of them that are told of many.
        names = [name for fate in fates for name in self.names[fate]]
        self._each(lambda half: self._engine.docker(what, *half), names[::2], names[1::2])

    def _each(self, act: Any, *subjects: Any) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(act, subjects))


@pytest.fixture
def gateway(engine: DockerEngine, tmp_path: Path) -> Iterator[RunningGateway]:
    running = RunningGateway(tmp_path, one=engine.host)
    yield running
    running.kill()


@pytest.fixture
def crowd(engine: DockerEngine) -> Iterator[Crowd]:
    made = Crowd(engine)
    try:
        made.gather()
        yield made
    finally:
        made.remove()


def shown(gateway: RunningGateway) -> dict[str, dict[str, Any]]:
    """All containers, by URI."""
    pages = [gateway.get(f"/api/v1/container/?limit=100&offset={offset}") for offset in (0, 100)]
    return {one["resource_uri"]: one for page in pages for one in page["objects"]}


@pytest.mark.parametrize("how", ["refusing", "silent"] if LONGER else ["refusing"])
def test_containers_change_while_the_network_is_cut(
    engine: DockerEngine, gateway: RunningGateway, crowd: Crowd, serve: Serve, told: RunningDestinations, how: str
) -> None:
    gateway.start()
    before = shown(gateway)
    cable = Cable(gateway.port)
    with cable.plugged() as port:
        service = serve(
            TUTUM_STREAM_URL=f"ws://127.0.0.1:{port}/v1/",
            TUTUM_BASE_URL=f"http://127.0.0.1:{port}/api/v1/",
            SLACK_URL="",
            PAGERDUTY_KEY="",
        )
        service.wait_for_line("objects are known")
        cable.cut(how)
        began = time.monotonic()
        crowd.change()
        time.sleep(max(began + LONGER - time.monotonic(), 0.0))
        cable.mend()
        service.wait_until_connected(2, 90)
        service.wait_for_line("without a stream: ", 30)
        time.sleep(QUIET)
        names = {uri: one["name"] for uri, one in {**before, **shown(gateway)}.items()}

        def of_containers() -> list[dict[str, Any]]:
            bodies = [body["data"] for body in told.accepted(WEBHOOK)]
            return [one for one in bodies if one["type"] == "container" and one["resource_uri"] in names]

        events = of_containers()
        found = Counter((names[one["resource_uri"]], one["action"], one["state"]) for one in events)
        assert found == crowd.expected()
        assert {one["synthetic"] for one in events} == {True}
        # And they are what there is: nobody was told something else than what is shown.
        final = shown(gateway)
        assert [one for one in events if final[one["resource_uri"]]["state"] != one["state"]] == []

        # What comes after it is told as it comes, once.
        engine.docker("kill", crowd.names["stays"][0])
        until(lambda: len(of_containers()) >= len(events) + 2, "what came after it")
        live = [(one["state"], one.get("synthetic", False)) for one in of_containers()[len(events) :]]
        assert live == [("Stopping", False), ("Stopped", False)]
    gateway.stop()
