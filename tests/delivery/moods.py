"""Destinations that answer as their mood is, and tell the ledger what they took."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from tests.delivery.ledger import Ledger
from tutumstream.delivery.compose import Composer
from tutumstream.journal.interface import Pending
from tutumstream.notifiers.interface import Delivered, Hold, INotifier, Message, Rejected, TryAgain, Verdict

Verdicts = Deferred[list[Verdict]]

MOODS: Final = (
    *("takes", "takes_the_first", "fails", "limits", "refuses", "holds", "cuts", "breaks"),
    *("hangs", "takes_and_hangs"),
)


class ScriptedBugError(Exception):
    """A notifier raises it."""


class DigestWitness(Composer):
    """Writes what all do, and remembers of what a digest is made."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.digests: dict[str, Sequence[Pending]] = {}

    def digest(self, rows: Sequence[Pending]) -> Message:
        """See `Composer`."""
        message = super().digest(rows)
        self.digests[message.id] = rows
        return message


@dataclass(eq=False)
class Hanging:
    """A try that nobody answers: of how many messages, and the deliveries that arrived with it."""

    answer: Verdicts
    messages: int
    arrived: Sequence[str]


@implementer(INotifier)
class Outlet:
    """One process's way to a destination.

    Args:
        name: of the destination.
        moods: of all destinations; they change.
        ledger: hears of what arrives.
        batch, linger: see `INotifier`.

    Attributes:
        hook: called before anything is told, with what would take it; after it False means that the process is dead.
        composer: writes the messages.
    """

    textual = True
    needs: frozenset[str] = frozenset()
    hook: Callable[[Callable[[], object]], bool]
    composer: DigestWitness

    def __init__(self, name: str, moods: dict[str, str], ledger: Ledger, batch: int, linger: float) -> None:
        self.name, self.batch, self.linger = name, batch, linger
        self.hanging: list[Hanging] = []
        self._moods = moods
        self._ledger = ledger

    def escape(self, text: str) -> str:
        """See `INotifier`."""
        return text

    def notify(self, messages: Sequence[Message]) -> Verdicts:
        """See `INotifier`."""
        if not self.hook(lambda: self._take(messages)):
            return Deferred()
        return cast(Verdicts, getattr(self, f"_{self._moods[self.name]}")(messages))

    def finish(self, number: int, cut: bool) -> None:
        """A try that hangs ends: as it should, or with a connection that is cut."""
        hanging = self.hanging.pop(number % len(self.hanging))
        if cut:
            self._ledger.doubt(hanging.arrived)
        verdict = Delivered() if hanging.arrived and not cut else TryAgain("no answer")
        hanging.answer.callback([verdict] * hanging.messages)

    def _take(self, messages: Sequence[Message]) -> list[str]:
        """They arrive. The ids of the deliveries that they stand for."""
        names: list[str] = []
        for message in messages:
            rows = self.composer.digests.get(message.id)
            if rows is None:
                self._ledger.arrive(message.id, self.name, message.incident)
                names.append(message.id)
                continue
            for row in rows:
                self._ledger.expect(not row.delivery.urgent, f"{row.id} is urgent, and was told in a digest")
                self._ledger.arrive(row.id, self.name, None)
                names.append(row.id)
        return names

    def _takes(self, messages: Sequence[Message]) -> Verdicts:
        self._take(messages)
        return succeed([Delivered()] * len(messages))

    def _takes_the_first(self, messages: Sequence[Message]) -> Verdicts:
        self._take(messages[:1])
        return succeed([Delivered(), *[TryAgain("503")] * (len(messages) - 1)])

    def _fails(self, messages: Sequence[Message]) -> Verdicts:
        return succeed([TryAgain("500", answer="oops")] * len(messages))

    def _limits(self, messages: Sequence[Message]) -> Verdicts:
        return succeed([TryAgain("429", after=20.0, limited=True)] * len(messages))

    def _refuses(self, messages: Sequence[Message]) -> Verdicts:
        return succeed([Rejected("400", "no")] * len(messages))

    def _holds(self, messages: Sequence[Message]) -> Verdicts:
        return succeed([Hold("401")] * len(messages))

    def _cuts(self, messages: Sequence[Message]) -> Verdicts:
        self._ledger.doubt(self._take(messages))
        return succeed([TryAgain("cut")] * len(messages))

    def _breaks(self, messages: Sequence[Message]) -> Verdicts:
        self._ledger.doubt(self._take(messages))
        raise ScriptedBugError

    def _hangs(self, messages: Sequence[Message]) -> Verdicts:
        return self._hang(messages, [])

    def _takes_and_hangs(self, messages: Sequence[Message]) -> Verdicts:
        return self._hang(messages, self._take(messages))

    def _hang(self, messages: Sequence[Message], arrived: Sequence[str]) -> Verdicts:
        def let_go(_: Verdicts) -> None:
            self.hanging.remove(hanging)
            self._ledger.doubt(arrived)

        hanging = Hanging(Deferred(let_go), len(messages), arrived)
        self.hanging.append(hanging)
        return hanging.answer
