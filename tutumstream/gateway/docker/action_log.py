"""The log of an action: what was begun, what went wrong, how it ended. Docker keeps none, so that is all of it."""

from collections.abc import Callable
from typing import Final

from zope.interface import implementer

from tutumstream.event import escaped
from tutumstream.gateway.docker.actions import IN_PROGRESS, Action
from tutumstream.gateway.docker.control import Performed
from tutumstream.gateway.platform import Change, ILogReader, ILogs, Listener, LogLine

REASON_LIMIT: Final = 1000

Known = Action | Performed


def lines_of(action: Known) -> list[LogLine]:
    """What there is to say by now, in order."""
    found = [_line(action.name, action.started)]
    if action.state == IN_PROGRESS:
        return found
    problems = action.problems if isinstance(action, Performed) else ()
    found += [_line(escaped(problem, REASON_LIMIT), action.ended) for problem in problems]
    return [*found, _line(action.state, action.ended)]


def _line(text: str, at: float) -> LogLine:
    return LogLine(text=f"{text}\n", stream="stdout", timestamp=int(at), source="")


@implementer(ILogs)
class ActionReading:
    """Reads it, with `follow` until the action has ended.

    Args:
        find: the action as it is now; None once it is forgotten.
        subscribe: tells every change from then on, until the function that it returns is called.
    """

    def __init__(
        self,
        find: Callable[[], Known | None],
        subscribe: Callable[[Listener], Callable[[], None]],
        tail: int,
        follow: bool,
        reader: ILogReader,
    ) -> None:
        self._find = find
        self._reader: ILogReader | None = reader
        self._told = max(len(self._lines()) - tail, 0)
        self._unsubscribe = subscribe(self._heard) if follow else lambda: None
        self._tell(follow)

    def pause(self) -> None:
        """Harmless: a handful of lines is all there is."""

    def resume(self) -> None:
        """Harmless, too."""

    def close(self) -> None:
        self._reader = None
        self._unsubscribe()

    def _lines(self) -> list[LogLine]:
        action = self._find()
        return lines_of(action) if action is not None else []

    def _heard(self, change: Change) -> None:
        if change.type == "action":
            self._tell(True)

    def _tell(self, follow: bool) -> None:
        reader, lines = self._reader, self._lines()
        if reader is None:
            return
        for line in lines[self._told :]:
            reader.line(line)
        self._told = max(self._told, len(lines))
        action = self._find()
        if not follow or action is None or action.state != IN_PROGRESS:
            self.close()
            reader.ended()
