"""Texts from templates, at delivery time.

A template sees `event` and, by name, the resources that belong to it; the filter `utc` makes a time of seconds.
What could not be looked up prints as `(unknown)`: a message is never held back for want of a name.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import jinja2
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tutumstream.errors import TemplateError
from tutumstream.event import PARENT_TYPES, Event

UNKNOWN: Final = "(unknown)"

RESOURCE_NAMES: Final = ("resource", *PARENT_TYPES)
"""What a template may name besides `event`: the event's own resource, and its parents by type."""

_SAMPLE: Final = Event(
    id="01JDC7N0000000000000000000",
    received_at=1448287200.0,
    type="container",
    action="create",
    state="Starting",
    resource_uri="/api/v1/container/0b0e0000-0000-4000-8000-000000000000/",
    parents=tuple(f"/api/v1/{kind}/0b0e0000-0000-4000-8000-000000000001/" for kind in PARENT_TYPES),
    message="sample",
).view()


class _Facts(dict[str, Any]):
    """A resource's fields; whatever it does not hold prints as unknown."""

    def __missing__(self, key: str) -> str:
        return UNKNOWN


def facts(resource: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A resource as templates see it; None, and every null in it, is unknown."""
    return _Facts({name: value for name, value in (resource or {}).items() if value is not None})


def utc(seconds: float) -> str:
    """Seconds since 1970 as people read them: `2015-09-01 12:00:00 UTC`."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


_ESCAPE: Final = " escape"
"""Where a template's context holds its destination's: no template can say a name with a space."""


@jinja2.pass_context
def _printed(context: jinja2.runtime.Context, value: Any) -> Any:
    return value if isinstance(value, jinja2.Undefined) else context[_ESCAPE](str(value))


_ENVIRONMENT: Final = ImmutableSandboxedEnvironment(
    undefined=jinja2.StrictUndefined,
    # HTML's escaping is wrong for every destination; finalize does theirs.
    autoescape=False,
    keep_trailing_newline=False,
    finalize=_printed,
)
_ENVIRONMENT.filters["utc"] = utc


@lru_cache(1024)
def _compile(source: str) -> tuple[jinja2.Template, frozenset[str]]:
    """A text, and the names that it wants; the same for every route that has it, and after a reload."""
    names = meta.find_undeclared_variables(_ENVIRONMENT.parse(source))
    return _ENVIRONMENT.from_string(source), frozenset(names)


class Template:
    """One compiled text.

    Attributes:
        needs: the resources that it names, a subset of `RESOURCE_NAMES`.
    """

    def __init__(
        self, name: str, compiled: jinja2.Template, needs: frozenset[str], escape: Callable[[str], str]
    ) -> None:
        self._name = name
        self._compiled = compiled
        self._escape = escape
        self.needs = needs

    def render(self, view: Mapping[str, Any], resources: Mapping[str, Mapping[str, Any] | None]) -> str:
        """The text for an event.

        Args:
            view: the event as `Event.view` gives it.
            resources: by name, those of `needs` that could be looked up.

        Raises:
            TemplateError: the template fails on this event.
        """
        known = {name: facts(resources.get(name)) for name in self.needs}
        try:
            return self._compiled.render(known, event=view, **{_ESCAPE: self._escape})
        except Exception as problem:
            # A template is code from outside: whatever it raises is its own mistake, not ours.
            raise TemplateError(self._name, f"{type(problem).__name__}: {problem}") from problem


class Templates:
    """Compiles templates for one destination.

    Args:
        escape: makes a printed value harmless in the destination's markup; the template's own text is left as it is.
    """

    def __init__(self, escape: Callable[[str], str] = str) -> None:
        self._escape = escape

    def compile(self, name: str, source: str, resources: bool = True) -> Template:
        """Compile a text and try it on a sample event, with every resource unknown.

        Args:
            name: the route's, for errors.
            source: Jinja2.
            resources: whether it may name resources; False where it must be known without asking anyone.

        Raises:
            TemplateError: it does not compile, names something that is not there, or fails on the sample.
        """
        try:
            compiled, names = _compile(source)
        except jinja2.TemplateSyntaxError as problem:
            raise TemplateError(name, f"line {problem.lineno}: {problem.message}") from None
        allowed = {"event", *(RESOURCE_NAMES if resources else ())}
        if unknown := sorted(names - allowed):
            raise TemplateError(name, f"{', '.join(unknown)} is not known here; there are {', '.join(sorted(allowed))}")
        template = Template(name, compiled, names - {"event"}, self._escape)
        template.render(_SAMPLE, {})
        return template
