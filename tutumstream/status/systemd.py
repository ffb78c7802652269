"""Tells systemd how we are (sd_notify(3)): READY=1, STATUS=, WATCHDOG=1, STOPPING=1. Silent without systemd."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

_MICROSECONDS: Final = re.compile("[0-9]{1,20}")
"""All that 64 bits hold."""


class Systemd:
    """The unit's side of `Type=notify`.

    READY=1 is sent once the service has started, not once the stream is up: a platform that is down for an hour must
    not make systemd restart us, it is what we are here to tell.

    Args:
        notify: sends one message, as `sdnotify.SystemdNotifier.notify`.
        clock: for the watchdog.
        environment: systemd's WATCHDOG_USEC.
        when_running: calls what it is given once the process takes signals, as `callWhenRunning` of a reactor does: who
            is told that we are ready may stop us at once.
    """

    def __init__(
        self,
        notify: Callable[[str], object],
        clock: IReactorTime,
        environment: Mapping[str, str],
        when_running: Callable[[Callable[[], object]], object],
    ) -> None:
        self._notify = notify
        self._when_running = when_running
        self._status = ""
        self._watchdog = LoopingCall(notify, "WATCHDOG=1")
        self._watchdog.clock = clock
        microseconds = environment.get("WATCHDOG_USEC", "")
        # Half of the deadline, as sd_watchdog_enabled(3) advises.
        self._interval = int(microseconds) / 2e6 if _MICROSECONDS.fullmatch(microseconds) else 0.0

    def ready(self) -> None:
        """The start is complete."""
        self._when_running(self._tell_ready)

    def _tell_ready(self) -> None:
        self._notify("READY=1")
        if self._interval:
            self._watchdog.start(self._interval)

    def say(self, status: str) -> None:
        """One line for `systemctl status`; the same again is not sent."""
        if status != self._status:
            self._status = status
            # After READY=1, which waits for the same.
            self._when_running(partial(self._notify, "STATUS=" + status.replace("\n", " ")))

    def stopping(self) -> None:
        self._notify("STOPPING=1")
        if self._watchdog.running:
            self._watchdog.stop()
