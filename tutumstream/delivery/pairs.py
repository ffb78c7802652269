"""Triggers and resolves of one incident that are better not told. Pure.

Nobody wants to be woken for what is over, nor by an incident that opens and closes all night.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from math import inf
from typing import Final

from tutumstream.journal.interface import Pending

FLAPS: Final = 5
"""Opens within `FLAP_TIME` seconds that are still told one by one."""

FLAP_TIME: Final = 600.0

OVER: Final = "it was over before it was told"
FLAPPING: Final = "the incident opens and closes again and again; it is held open"
NOTHING_OPEN: Final = "there is no open incident to close"
MAY_BE_OPEN: Final = "the trigger before it was not told to the end, and may have arrived"


def unneeded(
    rows: Sequence[Pending], is_open: bool, flapping: bool, since: float = 0.0, now: float = inf
) -> dict[int, str]:
    """Which of an incident's rows need not be told, by seq, each with the reason.

    Args:
        rows: all that is pending for the incident, in order, nothing of it under way.
        is_open: the destination knows of the incident.
        flapping: the incident is held open.
        since: when this run began, seconds since 1970. What could go before may have arrived, for a kill forgets that.
        now: what was received later than that was so before the clock was set back, and before this run.
    """

    def maybe(row: Pending) -> bool:
        at = row.event.received_at
        return row.attempts > 0 or max(at, row.due) < since or at > now

    dropped: dict[int, str] = {}
    kept: list[Pending] = []
    for row in rows:
        before = kept[-1] if kept else None
        # One with a reason was tried, or is owed: nobody knows of an open incident, and there may be one.
        if _is(row, "close") and not row.reason and not _open_before(kept, is_open):
            dropped[row.seq] = NOTHING_OPEN
        elif is_resolve(row) and before is not None and _is(before, "trigger"):
            over = list(takewhile(lambda each: _is(each, "trigger"), reversed(kept)))
            dropped |= {each.seq: OVER for each in over}
            del kept[-len(over) :]
            # A try that failed may have arrived all the same, and then the incident is open.
            if is_open or any(map(maybe, over)) or any(_is(each, "trigger") for each in kept):
                kept.append(row)
            else:
                dropped[row.seq] = OVER
        elif flapping and is_open and _is(row, "trigger") and (closing := _closing(kept, maybe)):
            dropped |= dict.fromkeys((each.seq for each in (*closing, row)), FLAPPING)
            kept = [each for each in kept if each.seq not in dropped]
        else:
            kept.append(row)
    return dropped


def owed(rows: Sequence[Pending], dropped: Mapping[int, str]) -> list[Pending]:
    """Those that close what may be open, though all that told of it are their triggers, which are dropped.

    Args:
        rows: as of `unneeded`.
        dropped: its answer.
    """
    found: list[Pending] = []
    over = False
    for row in rows:
        if row.seq in dropped:
            over = over or _is(row, "trigger")
            continue
        if over and _is(row, "close") and not row.reason:
            found.append(row)
        over = False
    return found


class Opens:
    """When an incident was opened lately."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=FLAPS + 1)

    def opened(self, now: float) -> None:
        self._times.append(now)

    def flapping(self, now: float) -> bool:
        """More than `FLAPS` opens in the last `FLAP_TIME` seconds."""
        return len(self._times) > FLAPS and now - self._times[0] < FLAP_TIME

    def quiet_at(self) -> float:
        """When it may be called over: `FLAP_TIME` after the last open."""
        return self._times[-1] + FLAP_TIME


def is_resolve(row: Pending) -> bool:
    return row.delivery.incident is not None and row.delivery.incident.ends


def _closing(rows: Sequence[Pending], maybe: Callable[[Pending], bool]) -> list[Pending]:
    """What would close the incident before it opens again: none where one of them may have done so already."""
    found: list[Pending] = []
    for row in reversed(rows):
        if _is(row, "trigger"):
            break
        if is_resolve(row):
            found.append(row)
    return [] if any(map(maybe, found)) else found


def _open_before(rows: Sequence[Pending], is_open: bool) -> bool:
    """Whether the incident is open once these were told."""
    for row in rows:
        if _is(row, "trigger"):
            is_open = True
        elif is_resolve(row):
            is_open = False
    return is_open


def _is(row: Pending, action: str) -> bool:
    return row.delivery.incident is not None and row.delivery.incident.action == action
