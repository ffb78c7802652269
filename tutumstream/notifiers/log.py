"""The service's own log as a destination: what is told there can't be refused."""

from collections.abc import Sequence
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from tutumstream.notifiers.interface import Delivered, INotifier, Message, Verdict
from tutumstream.notifiers.text import one_line

LINE_LIMIT: Final = 2000
"""Characters of a message that a line shows."""


@implementer(INotifier)
class LogNotifier:
    """Writes each message's text as one line at level info.

    Args:
        label: begins each line, with what the message does to an incident: what another destination would have got.
    """

    log = Logger()
    batch = 100
    linger = 0.0
    textual = True
    needs: frozenset[str] = frozenset()

    def __init__(self, label: str = "") -> None:
        self._label = label

    def __repr__(self) -> str:
        return f"<log {self._label}>" if self._label else "<log>"

    def escape(self, text: str) -> str:
        """Left alone: the whole line is made harmless when it is written."""
        return text

    def notify(self, messages: Sequence[Message]) -> Deferred[list[Verdict]]:
        """Write them all, in order."""
        for message in messages:
            text = self._heading(message) + message.text.replace("\n", " / ")
            self.log.info("{text}", text=one_line(text, LINE_LIMIT))
        return succeed([Delivered() for _ in messages])

    def _heading(self, message: Message) -> str:
        if not self._label:
            return ""
        incident = f" {message.incident.action} {message.incident.key}" if message.incident else ""
        return f"[{self._label}{incident}] "
