"""How a run of a container ended, and whether that went wrong. Pure."""

from typing import Final

import msgspec

QUICK: Final = 10.0
"""Seconds. What a restart policy brought up and ended sooner did not do its work, whatever its exit code says: Docker
itself measures by this whether a restart was any good."""

NOT_ITS_OWN: Final = frozenset({130, 137, 143})
"""Exit codes that say nothing where nobody saw the end, or who wanted it: of signals that a stop sends, too. Not 255,
which Docker gives to what was lost with the engine or its machine: nobody stopped that."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended.

    Attributes:
        at: nanoseconds by the engine's clock.
        exit_code: None where nobody knows.
        error: why it did not even begin.
        oom: the kernel killed a process in it for want of memory.
        asked: somebody wanted it to end.
        ill: it was unhealthy, and its swarm ended it for that.
        seen: the end itself was heard of, and so would have been that somebody wanted it; else only that it is over was
            found.
        again: Docker starts it again.
        repeated: its swarm puts another one in its place soon, however well it ended.
        given_up: Docker did so before, and does no more.
        ran: seconds.
        times: how many ends this stands for, where some were too quick to be seen.
    """

    at: int
    exit_code: int | None = None
    error: str = ""
    oom: bool = False
    asked: bool = False
    ill: bool = False
    seen: bool = True
    again: bool = False
    repeated: bool = False
    given_up: bool = False
    ran: float = 0.0
    times: int = 1


def is_crash(ending: Ending) -> bool:
    """Whether it went wrong. The exit code alone can't say: 137 is what `docker stop` leaves of many."""
    if ending.asked:
        return False
    if ending.error or ending.ill or (ending.oom and ending.exit_code != 0):
        return True
    if ending.exit_code is None:
        return ending.seen or ending.again
    if ending.exit_code == 0:
        return (ending.again or ending.repeated) and ending.ran < QUICK
    return ending.seen or ending.again or ending.exit_code not in NOT_ITS_OWN
