"""Time for everything that waits: a clock that never goes back, and no end of a wait before a look at what came."""

import time
from collections.abc import Callable
from typing import Any, Final

DOUBTED: Final = 60.0
"""A step forward by more seconds than these is doubted."""

BELIEVED_AFTER: Final = 30.0
"""Seconds for which such a step must last."""

STOPPED: Final = 1.0
"""Seconds too many that the reactor took for one round, where it was stopped in it."""

Look = Callable[[float | None], object]
"""A reactor's `doIteration`: waits for so many seconds at most, None for ever, and takes what comes."""


def _since_boot() -> float:
    """Seconds, those that the machine slept among them, where it can tell."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def steady_clock(
    wall: Callable[[], float] = time.time, steady: Callable[[], float] = _since_boot
) -> Callable[[], float]:
    """A clock that shows the machine's time. Where that is set back, it goes on at half the speed until the two agree
    again. Where it is set far forward, it goes on as before until that has lasted.

    Twisted's reactor takes the machine's time as it is. Every timer that was set before a step back by two hours would
    stand still for two hours: no reconnect, no ping, no retry, and not a word about it. With this clock it is late by
    no more than the time that it was to wait. A step forward by a month would make everything that waits a month old,
    to be given up, and a step back to the truth could not be followed for two months: so one that is taken back soon
    must change nothing.

    Args:
        wall: seconds since 1970, as the machine thinks.
        steady: seconds since any moment, which nobody sets.
    """
    at, shown = steady(), wall()
    doubted_at: float | None = None

    # A closure, not a class: it is looked at several times for each event.
    def seconds() -> float:
        nonlocal at, shown, doubted_at
        before, at = at, steady()
        passed, said = at - before, wall()
        if said < shown + passed / 2:
            said = shown + passed / 2
        elif said > shown + passed + DOUBTED:
            if doubted_at is None:
                doubted_at = at
            if at - doubted_at < BELIEVED_AFTER:
                shown += passed
                return shown
        doubted_at = None
        shown = said
        return shown

    return seconds


def looking_twice(look: Look, steady: Callable[[], float] = _since_boot) -> Look:
    """Look once more after a stop, before timers run out.

    Who goes on after SIGSTOP, `docker pause` or a debugger finds both: all timers are overdue, and all that came
    meanwhile waits in the sockets. Twisted would take the timers first: an answer that is there would count as none,
    and the message be told again; a pong that is there would count as a lost stream.
    """

    def look_and_look_again(seconds: float | None) -> None:
        due = None if seconds is None else steady() + seconds + STOPPED
        look(seconds)
        if due is not None and steady() > due:
            look(0)

    return look_and_look_again


def keep_steady(reactor: Any) -> None:
    """Give the reactor both. Only before anything waits: what does so already knows another clock."""
    reactor.seconds = steady_clock()
    reactor.doIteration = looking_twice(reactor.doIteration)
