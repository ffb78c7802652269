"""What a destination is to the rest of the service: something that takes messages and gives verdicts.

A notifier only speaks. It never retries, never sleeps, never touches the journal, and does not raise for trouble that
is to be expected: whoever calls it decides what a verdict means for the queue.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from tutumstream.event import Event
from tutumstream.routing.delivery import Incident

ANSWER_LIMIT = 2048
"""Characters of a destination's answer that are kept with a message it did not take."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message, ready to send.

    Attributes:
        id: the same over all attempts; receivers can tell a repeat by it. Holds no `.`.
        event: what it is about.
        text: rendered, values escaped by the notifier's own `escape`; not yet cut to the destination's limits. "" where
            the notifier is not `textual`.
        incident: what it does to an incident; None where it is only told.
        route: the route that caused it.
        resources: of those that the notifier `needs`, the ones that could be looked up, by name.
    """

    id: str
    event: Event
    text: str
    route: str
    incident: Incident | None = None
    resources: Mapping[str, Mapping[str, Any]] = msgspec.field(default_factory=dict)


class Delivered(msgspec.Struct, frozen=True, gc=False):
    """The destination took it. `remote_id` is its own name for it, "" where it gives none."""

    remote_id: str = ""


DELIVERED: Final = Delivered()
"""The usual end: a destination took it and gave it no name."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Not now: nothing answered, the destination is in trouble, or it asks us to slow down.

    Attributes:
        reason: in words, without secrets.
        after: seconds that the destination asked us to wait, None where it did not say.
        limited: it asked us to slow down; that is no failure of the message and does not count as one.
        answer: the start of its answer, at most `ANSWER_LIMIT` characters.
    """

    reason: str
    after: float | None = None
    limited: bool = False
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """The destination refuses us as a whole (credentials, address, form): nothing will arrive until that changes."""

    reason: str
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The destination refuses this message for what it is; sending it again would end the same."""

    reason: str
    answer: str = ""


Verdict = Delivered | TryAgain | Hold | Rejected


class INotifier(Interface):
    """A destination's own language. Implement it to bring another one."""

    batch: int = Attribute("How many messages one call of `notify` may take; 1 for chat.")

    linger: float = Attribute("Seconds to wait for more before a batch that is not full is sent; 0.0 for most.")

    textual: bool = Attribute("Whether it uses `Message.text`; False where it does not, so that none is rendered.")

    needs: frozenset[str] = Attribute(
        "What it wants in `Message.resources`, whatever the text names: of `resource` and the parents' types. "
        "Each is a look-up; empty for most."
    )

    def escape(text: str) -> str:
        """Make text from outside harmless in this destination's markup. Applied to every value a template prints."""

    def notify(messages: Sequence[Message]) -> Deferred[list[Verdict]]:
        """Send at most `batch` messages; fires with one verdict each, in the same order.

        An errback is a bug in the notifier: it is logged with its traceback and the messages are tried again.
        """
