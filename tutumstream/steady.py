"""A clock for everything that waits: seconds since 1970, and never back."""

import time
from collections.abc import Callable
from typing import Any


def steady_clock(
    wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
) -> Callable[[], float]:
    """A clock that shows the machine's time. Where that is set back, it goes on at half the speed until the two agree
    again.

    Twisted's reactor takes the machine's time as it is. Every timer that was set before a step back by two hours would
    stand still for two hours: no reconnect, no ping, no retry, and not a word about it. With this clock it is late by
    no more than the time that it was to wait. A step forward is taken as it comes.

    Args:
        wall: seconds since 1970, as the machine thinks.
        steady: seconds since any moment, which nobody sets.
    """
    at, shown = steady(), wall()

    # A closure, not a class: it is looked at several times for each event.
    def seconds() -> float:
        nonlocal at, shown
        before, at = at, steady()
        least, shown = shown + (at - before) / 2, wall()
        if shown < least:
            shown = least
        return shown

    return seconds


def keep_steady(reactor: Any) -> None:
    """Give the reactor such a clock. Only before anything waits: what does so already knows another one."""
    reactor.seconds = steady_clock()
