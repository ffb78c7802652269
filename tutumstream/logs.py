"""Log lines: twisted.logger in the code, one line an event at the end, JSON or for people."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

_INTERNAL = frozenset({"format", "message", "isError", "time", "failure", "why", "printed"})

_CHATTER = ("log_legacy", "twisted.internet", "twisted.web", "twisted.python.log", "stdout")
"""Namespaces that announce the birth and death of every connection and factory at info."""

_ECHO = "autobahn"
"""A namespace that warns, at every try, of what the stream's own lines tell once; only its bugs are news."""


@implementer(ILogObserver)
class LineObserver:
    """Writes each log event as one line; a traceback, where there is one, follows it in `console`.

    Args:
        write: takes a finished line, newline included.
        log_format: `json`, one object a line with the event's plain fields; or `console`, for people.
        level: events below it are left out.
    """

    def __init__(self, write: Callable[[str], object], log_format: str, level: str) -> None:
        self._write = write
        self._level = LogLevel.levelWithName(level)
        self._render = _json if log_format == "json" else _console

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level") or LogLevel.info
        if level < self._level or _is_chatter(event, level):
            return
        self._write(self._render(_fields(event, level.name)) + "\n")


def _is_chatter(event: LogEvent, level: Any) -> bool:
    namespace = str(event.get("log_namespace", ""))
    if namespace.startswith(_ECHO):
        return level is not LogLevel.critical
    return level is LogLevel.info and namespace.startswith(_CHATTER)


def _fields(event: LogEvent, level: str) -> dict[str, Any]:
    """The event as flat, printable fields: those of every line first, its own after them."""
    fields: dict[str, Any] = {
        "time": datetime.fromtimestamp(event.get("log_time", 0.0), UTC).isoformat(timespec="milliseconds"),
        "level": level,
        "logger": event.get("log_namespace", "-"),
        "event": formatEvent(event),
    }
    for name, value in event.items():
        if not name.startswith("log_") and name not in _INTERNAL and name not in fields:
            fields[name] = value if isinstance(value, str | int | float | bool | None) else str(value)
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        # Without the frames' variables: they may hold secrets.
        fields["traceback"] = failure.getTraceback()
    return fields


def _json(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields)


def _console(fields: Mapping[str, Any]) -> str:
    line = f"{fields['time'][11:19]} {fields['level']:<5} {_one_line(fields['event'])}"
    traceback = fields.get("traceback")
    return f"{line}\n{traceback.rstrip()}" if traceback else line


def _one_line(text: str) -> str:
    """Control characters made visible: nobody writes our log but we."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
