"""Conditions in CEL, and nothing of CEL beyond this module.

All conditions of a set are compiled a second time as ONE list expression: an event costs one evaluation, however many
routes there are. Only where one of them fails on an event (a user's `int("x")`) are they asked one by one.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from cel_expr_python import cel

from tutumstream.errors import ConditionError

_ENVIRONMENT: Final = cel.NewEnv(variables={"event": cel.Type.Map(cel.Type.STRING, cel.Type.DYN)})


class Conditions:
    """Any number of conditions over one event.

    Args:
        sources: CEL expressions over `event`; each must give true or false.

    Raises:
        ConditionError: one of them does not compile, or can never be true or false.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        self._sources = tuple(sources)
        self._each = tuple(_compile(source) for source in sources)
        self._all = _compile_all(self._sources)

    @property
    def fields(self) -> frozenset[str] | None:
        """The fields of the event that the answers depend on: `type`, `parent.stack`, `docker.news`, for instance.

        None where that is not plain.
        """
        found = [_fields(source) for source in self._sources]
        return None if None in found else frozenset(name for names in found if names for name in names)

    def hold(self, view: dict[str, Any]) -> list[bool | str]:
        """Each condition's answer for an event, in order: True, False, or in words why it can't be told.

        Args:
            view: the event as `Event.view` gives it.
        """
        activation = _ENVIRONMENT.Activation({"event": view})
        try:
            answers = self._all.eval(activation)
        except RuntimeError:
            return [_answer(expression, activation) for expression in self._each]
        if answers.type() != cel.Type.ERROR:
            values = answers.plain_value()
            if all(value is True or value is False for value in values):
                return list(values)
        return [_answer(expression, activation) for expression in self._each]


_UNREAD = re.compile(r"""("{3}|'{3}|"|')(?:\\.|[^\\])*?\1|`[^`]*`|//[^\n]*""", re.DOTALL)
"""Strings, quoted names and comments: each may hold what another begins with."""

_RAW = re.compile(r"\b[bB]?[rR][bB]?[\"']")
_EVENT = re.compile(r"\bevent\b(?:\s*\.\s*(?:(parent|docker)\s*\.\s*)?(\w+)\b(?!\s*\())?")


def _fields(source: str) -> frozenset[str] | None:
    """Every way to the event goes by its name, so looking for that finds all fields, and never too few."""
    if _RAW.search(source):
        # Raw strings end by other rules than the pattern above knows.
        return None
    names = set()
    for match in _EVENT.finditer(_UNREAD.sub(" ", source)):
        if match[2] is None or (match[2] in ("parent", "docker") and match[1] is None):
            return None
        names.add(f"{match[1]}.{match[2]}" if match[1] else match[2])
    return frozenset(names)


@lru_cache(1024)
def _compile(source: str) -> Any:
    try:
        expression = _ENVIRONMENT.compile(source)
    except RuntimeError as problem:
        raise ConditionError(source, _words(str(problem))) from None
    if expression.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
        raise ConditionError(source, f"gives {expression.return_type().name().lower()}, not true or false")
    return expression


@lru_cache(16)
def _compile_all(sources: tuple[str, ...]) -> Any:
    # The line break ends a condition that closes with a comment.
    return _ENVIRONMENT.compile("[" + ", ".join("(" + source + "\n)" for source in sources) + "]")


def _answer(expression: Any, activation: Any) -> bool | str:
    try:
        value = expression.eval(activation)
    except RuntimeError as problem:
        # It took too many steps.
        return _words(str(problem))
    # A failed evaluation is a value too, and a truthy one: only the type tells.
    if value.type() == cel.Type.BOOL:
        return bool(value.value())
    if value.type() == cel.Type.ERROR:
        return _words(str(value.value()))
    return f"gives {value.type().name().lower()}, not true or false"


def _words(problem: str) -> str:
    return re.sub(r"^[A-Z_]+: | \[[A-Z_]+\]$", "", problem).strip()
