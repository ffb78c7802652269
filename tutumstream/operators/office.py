"""The dead letter office: finds dead letters, takes them back, throws them away.

The journal reads dead letters in order and knows no filters, so a request looks at a bounded number of them and says
where the next one goes on. Nothing here holds up what the service is there for.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from tutumstream.journal.interface import DeadLetter, IJournal, Pending
from tutumstream.notifiers.interface import Message
from tutumstream.operators.letters import Chosen, Filter, Found, Listing, Page, Shown, Step, letter

Compose = Callable[[Sequence[Pending]], list[Message] | Deferred[list[Message]]]
"""Writes the messages of a destination, by today's templates."""

READ: Final = 250
"""Letters in one reading of the journal: a few milliseconds, and events are recorded in between."""

SCAN: Final = 5000
"""Letters that one request looks at, where nothing else is said; it can go on later."""

ONLY_RUNNING: Final = "rendered only while the service runs: its texts and look-ups are needed"
NO_TEXT: Final = "no text: this destination gets the event itself"

T = TypeVar("T")


class Office:
    """What may be done with dead letters.

    Args:
        journal: has them.
        now: seconds since 1970.
        revived: gets the rows that are pending again; the lanes' `offer`.
        composers: the writer of each destination's messages, by name; None where no service runs.
        scan: letters that one request looks at.
    """

    log = Logger()

    def __init__(
        self,
        journal: IJournal,
        now: Callable[[], float],
        revived: Callable[[Sequence[Pending]], None],
        composers: Mapping[str, Compose] | None,
        scan: int = SCAN,
    ) -> None:
        self._journal = journal
        self._now = now
        self._revived = revived
        self._composers = composers
        self._scan = scan

    def page(self, listing: Listing) -> Deferred[Page]:
        """A part of a listing. All errbacks are `JournalError`."""
        return Deferred.fromCoroutine(self._page(listing))

    def find(self, wanted: Filter) -> Deferred[Found]:
        """The seqs of all that are meant, as far as one request looks."""
        return Deferred.fromCoroutine(self._find(wanted))

    def show(self, letter_id: str) -> Deferred[Shown | None]:
        """One letter, with its message; None where there is none with this id."""
        return Deferred.fromCoroutine(self._show(letter_id))

    def retry(self, chosen: Chosen) -> Deferred[Step]:
        """Make them pending again; only they are sent, to where they failed."""
        return _to_its_end(self._retry(chosen))

    def drop(self, chosen: Chosen) -> Deferred[Step]:
        """Forget them."""
        return _to_its_end(self._drop(chosen))

    async def _page(self, listing: Listing) -> Page:
        found, more = await self._look(listing, listing.limit)
        return Page([letter(each) for each in found], more, sorted(self._composers or ()))

    async def _find(self, wanted: Filter) -> Found:
        found, more = await self._look(wanted, self._scan)
        return Found([each.pending.seq for each in found], more, sorted(self._composers or ()))

    async def _show(self, letter_id: str) -> Shown | None:
        found = await self._journal.dead_letters_named([letter_id])
        if not found:
            return None
        text, note = await self._text(found[0].pending)
        return Shown(letter=letter(found[0]), text=text, note=note)

    async def _retry(self, chosen: Chosen) -> Step:
        seqs, unknown = await self._choose(chosen)
        rows = await self._journal.revive(seqs, self._now()) if seqs else []
        self._revived(rows)
        absent = set() if self._composers is None else {row.delivery.destination for row in rows} - set(self._composers)
        opening = {row.delivery.destination for row in rows if _opens(row)}
        return Step(len(rows), unknown, sorted(absent), sorted(opening))

    async def _drop(self, chosen: Chosen) -> Step:
        seqs, unknown = await self._choose(chosen)
        return Step(await self._journal.forget(seqs) if seqs else 0, unknown)

    async def _choose(self, chosen: Chosen) -> tuple[Sequence[int], list[str]]:
        """The seqs that are meant, and the ids for which there is none."""
        if chosen.seqs:
            return chosen.seqs, []
        found = await self._journal.dead_letters_named(chosen.ids)
        known = {each.pending.id for each in found}
        return [each.pending.seq for each in found], [each for each in dict.fromkeys(chosen.ids) if each not in known]

    async def _look(self, wanted: Filter, most: int) -> tuple[list[DeadLetter], int | None]:
        """At most so many letters that are meant, and where to go on; None at the end."""
        found: list[DeadLetter] = []
        before, seen = wanted.before, 0
        while seen < self._scan:
            asked = min(READ, self._scan - seen)
            read = await self._journal.dead_letters(asked, before)
            for each in read:
                before = each.pending.seq
                if wanted.takes(each):
                    found.append(each)
                    if len(found) == most:
                        return found, before
            if len(read) < asked:
                return found, None
            seen += len(read)
        return found, before

    async def _text(self, row: Pending) -> tuple[str, str]:
        """What would be sent, or why that can't be said."""
        name = row.delivery.destination
        if self._composers is None:
            return "", ONLY_RUNNING
        compose = self._composers.get(name)
        if compose is None:
            return "", f"not rendered: the service has no destination {name}"
        try:
            messages = compose([row])
            (message,) = await messages if isinstance(messages, Deferred) else messages
        except Exception:
            self.log.failure("a bug: dead letter {id} can't be rendered", id=row.id)
            return "", "not rendered, and that is a bug: the service's log says more"
        return message.text, "" if message.text else NO_TEXT


def _to_its_end(change: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
    """What was begun is done, even if whoever asked for it goes away: rows that are pending must get to their lane."""
    told: Deferred[T] = Deferred()
    Deferred.fromCoroutine(change).chainDeferred(told)
    return told


def _opens(row: Pending) -> bool:
    """Whether it may open an incident that nothing will end: what ended it may have come long ago."""
    return row.delivery.incident is not None and not row.delivery.incident.ends
