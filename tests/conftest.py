"""How the tests run: the same on every machine, however slow it is today."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


@pytest.fixture(autouse=True, scope="session")
def _elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trial makes a test's temporary files in the working folder: that must not be the checkout."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("trial"))
    yield
    os.chdir(before)
