"""From a delivery to a message: the route's text, with what could be looked up of its resources."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from tutumstream.errors import TemplateError
from tutumstream.event import Event
from tutumstream.journal.interface import Pending
from tutumstream.notifiers.interface import INotifier, Message
from tutumstream.rendering import Template, Templates
from tutumstream.routing.route import Route
from tutumstream.routing.tutorial import LINE

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
        self._textual = notifier.textual
        self._needs = notifier.needs

    async def message(self, pending: Pending) -> Message:
        """The message of a delivery, rendered with today's text where the notifier uses one."""
        event = pending.event
        text = self._texts.get(pending.delivery.route, self._plain) if self._textual else None
        resources = await self._look_up(event, self._needs | text.needs if text else self._needs)
        return Message(
            id=pending.id,
            event=event,
            text=self._render(text, event, resources) if text else "",
            route=pending.delivery.route,
            incident=pending.delivery.incident,
            resources={name: found for name in self._needs if (found := resources.get(name)) is not None},
        )

    def _render(self, text: Template, event: Event, resources: Mapping[str, Mapping[str, Any] | None]) -> str:
        try:
            return text.render(event.view(), resources)
        except TemplateError as problem:
            self.log.error("{problem}; told plainly instead", problem=problem)
            return self._plain.render(event.view(), {})

    async def _look_up(self, event: Event, names: frozenset[str]) -> dict[str, Mapping[str, Any] | None]:
        uris = {name: event.resource_uri if name == "resource" else event.parent(name) for name in sorted(names)}
        # Asked for all at once, waited for one by one.
        asked = {name: self._fetch(uri) for name, uri in uris.items() if uri}
        return {name: await answer for name, answer in asked.items()}
