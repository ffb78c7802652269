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
    """Writes each message's text as one line at level info."""

    log = Logger()
    batch = 100

    def __repr__(self) -> str:
        return "<log>"

    def escape(self, text: str) -> str:
        """Left alone: the whole line is made harmless when it is written."""
        return text

    def notify(self, messages: Sequence[Message]) -> Deferred[list[Verdict]]:
        """Write them all, in order."""
        for message in messages:
            self.log.info("{text}", text=one_line(message.text, LINE_LIMIT))
        return succeed([Delivered() for _ in messages])
