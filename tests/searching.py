"""How long the tests that look for counter-examples look for them.

Every run is the same, and short. `HYPOTHESIS_PROFILE=thorough` searches for a hundred times as long, and elsewhere each
time.
"""

import os
from typing import Any, Final

from hypothesis import HealthCheck, settings

THOROUGH: Final = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"

_TIMES: Final = 100 if THOROUGH else 1
_PATIENT: Final[dict[str, Any]] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


def choose_profile() -> None:
    """For all tests that do not say how long they want to search."""
    settings.register_profile("short", max_examples=20 * _TIMES, derandomize=not THOROUGH, **_PATIENT)
    settings.load_profile("short")


def searching(examples: int, **more: Any) -> settings:
    """So many examples in a short run."""
    return settings(max_examples=examples * _TIMES, **more)
