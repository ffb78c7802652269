"""How long the tests that look for counter-examples look for them.

By default every run is the same, and short. `HYPOTHESIS_PROFILE=usual` searches for eight times as long, and `thorough`
for sixteen hundred times, and elsewhere each time.
"""

import os
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

_TIMES: Final = {"": 1, "usual": 8, "thorough": 1600}[os.environ.get("HYPOTHESIS_PROFILE", "")]

THOROUGH: Final = _TIMES > 100

_PATIENT: Final[dict[str, Any]] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


def choose_profile() -> None:
    """For all tests that do not say how long they want to search."""
    settings.register_profile("ours", max_examples=4 * _TIMES, derandomize=not THOROUGH, **_PATIENT)
    settings.load_profile("ours")
    if not THOROUGH:
        # To look for the constants of all our modules, as values worth a try, takes longer than a short search.
        providers._get_local_constants = Constants


def searching(examples: int, steps: int = 50) -> settings:
    """So many examples in a short run; a state machine's of so many steps, and of twice as many in longer runs."""
    return settings(max_examples=examples * _TIMES, stateful_step_count=steps * min(_TIMES, 2))
