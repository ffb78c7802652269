"""From a delivery to a message: the route's text, with what could be looked up of its resources."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from tutumstream.delivery.digest import digest
from tutumstream.errors import TemplateError
from tutumstream.event import Event
from tutumstream.journal.interface import Pending
from tutumstream.notifiers.interface import INotifier, Message
from tutumstream.rendering import Template, Templates
from tutumstream.routing.always import LINE
from tutumstream.routing.delivery import Incident
from tutumstream.routing.route import Route

Fetch = Callable[[str], Deferred[Mapping[str, Any] | None]]
"""Looks a resource URI up; None where it can't be had. Never fails."""


class Composer:
    """Writes the messages of one destination.

    Args:
        routes: all of them; those that don't notify this destination cost nothing.
        destination: its name.
        notifier: its language, for escaping.
        fetch: looks resources up.

    Raises:
        TemplateError: a text does not compile.
    """

    log = Logger()

    def __init__(self, routes: Sequence[Route], destination: str, notifier: INotifier, fetch: Fetch) -> None:
        templates = Templates(notifier.escape)
        self._texts: dict[str, Template] = {
            route.name: templates.compile(route.name, route.text) for route in routes if destination in route.notify
        }
        # For deliveries whose route is gone, and for texts that fail on an event: told plainly is better than not.
        self._plain = templates.compile("plain", LINE)
        self._fetch = fetch
        self._escape = notifier.escape
        self._textual = notifier.textual
        self._needs = notifier.needs

    def messages(self, rows: Sequence[Pending]) -> list[Message] | Deferred[list[Message]]:
        """The messages of deliveries, with today's texts; a Deferred only where something must be looked up."""
        if not self._needs:
            if not self._textual:
                return [Message(row.id, row.event, "", row.delivery.route, row.delivery.incident) for row in rows]
            if not any(self._text(row).needs for row in rows):
                return [self._message(row, {}) for row in rows]
        return Deferred.fromCoroutine(self._with_resources(rows))

    def digest(self, rows: Sequence[Pending]) -> Message:
        """One message for many deliveries."""
        return Message(
            id=f"{rows[0].id}-digest",
            event=rows[-1].event,
            text=self._escape(digest([row.event for row in rows])),
            route="digest",
        )

    async def _with_resources(self, rows: Sequence[Pending]) -> list[Message]:
        # Asked for all at once, waited for one by one.
        asked = [self._ask(row) for row in rows]
        return [
            self._message(row, {name: await answer for name, answer in answers.items()})
            for row, answers in zip(rows, asked, strict=True)
        ]

    def _ask(self, row: Pending) -> dict[str, Deferred[Mapping[str, Any] | None]]:
        names = self._needs | self._text(row).needs if self._textual else self._needs
        uris = {name: row.event.resource_uri if name == "resource" else row.event.parent(name) for name in names}
        return {name: self._fetch(uri) for name, uri in uris.items() if uri}

    def _message(self, row: Pending, resources: Mapping[str, Mapping[str, Any] | None]) -> Message:
        return Message(
            id=row.id,
            event=row.event,
            text=self._render(self._text(row), row.event, resources) if self._textual else "",
            route=row.delivery.route,
            incident=_as_told(row.delivery.incident),
            resources={name: found for name in self._needs if (found := resources.get(name)) is not None},
        )

    def _text(self, row: Pending) -> Template:
        return self._texts.get(row.delivery.route, self._plain)

    def _render(self, text: Template, event: Event, resources: Mapping[str, Mapping[str, Any] | None]) -> str:
        try:
            return text.render(event.view(), resources)
        except TemplateError as problem:
            self.log.error("{problem}; told plainly instead", problem=problem)
            return self._plain.render(event.view(), {})


def _as_told(incident: Incident | None) -> Incident | None:
    """A `close` that is told is a resolve: destinations know no other."""
    return Incident("resolve", incident.key) if incident is not None and incident.action == "close" else incident
