"""How the tests run: the same on every machine, however slow it is today."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

# Every run is the same, and short; HYPOTHESIS_PROFILE=thorough searches for longer, and elsewhere each time.
settings.register_profile("steady", max_examples=30, derandomize=True, **_PATIENT)
settings.register_profile("thorough", max_examples=1000, **_PATIENT)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


@pytest.fixture(autouse=True, scope="session")
def _elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trial makes a test's temporary files in the working folder: that must not be the checkout."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("trial"))
    yield
    os.chdir(before)
