"""What is remembered, and the promises about it. `tests/contracts_journal.py` proves them for every implementation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from tutumstream.event import Event, Malformed
from tutumstream.journal.objects import ObjectState, Watch
from tutumstream.routing.delivery import Delivery

DeathCause = Literal["rejected", "expired", "overflow", "bug"]
"""Why a delivery was given up: the destination refuses it; it grew too old; too many wait; it can't be read."""

MALFORMED_ROWS: Final = 1000
"""How many messages that are no events are kept."""

MALFORMED_BYTES: Final = 4096
"""How much is kept of each."""

OPENS_SECONDS: Final = 3600.0
"""How long it is remembered when incidents were opened: longer than anybody asks whether one flaps."""

IN_HAND: Final = 5000
"""Of each destination's pending deliveries that are not urgent, so many of the oldest are spared by an overflow.

Its lane may have them under way, and what is given up and arrives all the same would be told twice once taken back.
"""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether what is asked for gets written.

    Attributes:
        problem: "" while it does; else what is wrong with the disk, in words, with what to do.
        waiting: changes that were asked for and are not on disk yet.
    """

    problem: str = ""
    waiting: int = 0

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.problem


class Pending(msgspec.Struct, frozen=True, gc=False):
    """A delivery that was not settled yet.

    Attributes:
        seq: the order in which deliveries were recorded; unique in the journal.
        id: the delivery's own stable id, `<event id>-<n>`; what receivers see.
        attempts: how often it was tried and failed; being limited does not count.
        due: not before this time, seconds since 1970; 0.0 at once.
        reason, answer: of the last try that failed, "" before the first.
        born_at: its age counts from here, seconds since 1970: the event's receipt, or when it was taken back from the
            dead letters.
    """

    seq: int
    id: str
    event: Event
    delivery: Delivery
    attempts: int = 0
    due: float = 0.0
    reason: str = ""
    answer: str = ""
    born_at: float = 0.0


def recorded(event: Event, deliveries: Sequence[Delivery], first_seq: int) -> list[Pending]:
    """The rows of an event that was just recorded."""
    at = event.received_at
    return [
        # By position, in the order of the fields: this is done for every event.
        Pending(
            first_seq + n, f"{event.id}-{n + 1}", event, each, 0, at + each.grace if each.grace else 0.0, "", "", at
        )
        for n, each in enumerate(deliveries)
    ]


@dataclass(frozen=True, slots=True)
class Postponement:
    """What a failed try leaves in the row; a restart goes on from here."""

    seq: int
    attempts: int
    due: float
    reason: str
    answer: str = ""


class DeadLetter(msgspec.Struct, frozen=True, gc=False):
    """A delivery that was given up.

    Attributes:
        pending: the row as it was, with its event.
        cause: the class of the reason.
        reason: in words.
        answer: the start of what the destination answered last.
        died_at: seconds since 1970.
    """

    pending: Pending
    cause: DeathCause
    reason: str
    answer: str
    died_at: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How a destination stands, for the next start to go on from. Times are seconds since 1970.

    Attributes:
        since: when it became so.
        until: nothing is sent before; 0.0 where nothing stands in the way.
        told: others were told of the trouble, and are still to hear of its end.
    """

    kind: Literal["ok", "limited", "held", "failing", "refusing"]
    since: float = 0.0
    until: float = 0.0
    reason: str = ""
    told: bool = False


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An incident that a destination was told of, and not of its end.

    Attributes:
        event_type: the type of the event that opened it.
        opened_at: seconds since 1970, of the first trigger that arrived.
    """

    destination: str
    key: str
    event_type: str
    opened_at: float


@dataclass(frozen=True, slots=True)
class Opened:
    """One trigger of an incident that arrived, whether it was open already or not.

    Attributes:
        at: seconds since 1970.
    """

    destination: str
    key: str
    at: float


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the journal keeps.

    Attributes:
        history_seconds, history_rows: events with nothing pending are forgotten beyond either, the oldest first,
            together with their deliveries and dead letters. A dead letter is as old as its death: for so long, and
            while there are not so many newer ones, it keeps its event. Rows are counted from the newest back, those
            that were forgotten already included. States of objects that were terminated so long ago are forgotten too.
        pending_rows: beyond it the oldest deliveries that are not urgent go to the dead letters (`overflow`), but for
            those in hand.
        in_hand: so many of each destination, see `IN_HAND`.
        at_once: events looked at, or deliveries given up, in one transaction: about 20 ms.
        room: empty pages of its file that are always kept for what comes next, where a journal has a file.
    """

    history_seconds: float = 7 * 86400.0
    history_rows: int = 1_000_000
    pending_rows: int = 1_000_000
    in_hand: int = IN_HAND
    at_once: int = 2000
    room: int = 4096


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one pruning did: events forgotten, deliveries given up."""

    events: int
    overflow: int


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the history: an event, and how many deliveries it caused."""

    event: Event
    deliveries: int


class IJournal(Interface):
    """Durable memory of events and of the deliveries they cause.

    Every method that changes something fires when the change is on disk; a change is done wholly or not at all. While
    the disk refuses (full, read-only, locked) changes wait, in order, and `health` says why; nothing has to be asked
    for again. What is read is what is on disk at that time. Changes of deliveries that are unknown or pending no more
    do nothing. All errbacks are `JournalError`.
    """

    health: Health = Attribute("How it is right now; a new value at each change.")

    def open() -> Deferred[None]:
        """Make it ready, older versions brought up to date; fails where that can't be."""

    def close() -> Deferred[None]:
        """Finish what was asked for, then let go of everything. Harmless when not open.

        Where the disk refuses, it is tried once more; what still can't be written fails then.
        """

    def record(event: Event, deliveries: Sequence[Delivery]) -> Deferred[list[Pending]]:
        """Remember an event together with everything it causes; fires with the rows, in the order of `deliveries`.

        A delivery with a grace is due that long after the event's receipt.
        """

    def record_all(happened: Sequence[tuple[Event, Sequence[Delivery]]]) -> Deferred[list[Pending]]:
        """`record` for events that came together, in order: fires once for all of them, with all rows.

        One that can't be kept for what it is is logged as an error and left out; the others are kept.
        """

    def watch(source: str) -> Deferred[Watch]:
        """How far this source was watched. What is known of another one is forgotten first.

        Nothing else may be asked for until it has answered.
        """

    def watched(until: float) -> Deferred[None]:
        """Everything up to then was told."""

    def states() -> Deferred[list[ObjectState]]:
        """What is known of the objects, in the order of their URIs.

        Recording an event changes what is known of its object, in the same transaction. Unlike other views this one
        shows whatever was asked for before it.
        """

    def catch_up(
        told: Sequence[tuple[Event, Sequence[Delivery]]], found: Sequence[ObjectState], until: float
    ) -> Deferred[list[Pending]]:
        """Record events as `record` does, take note of further states, and of being complete: all of it or nothing.

        Fires with the rows of all events.
        """

    def keep(malformed: Malformed) -> Deferred[None]:
        """Remember a message that is no event; only the newest `MALFORMED_ROWS` stay, each cut to `MALFORMED_BYTES`."""

    def pending(destination: str, after: int, limit: int, urgent: bool = False) -> Deferred[list[Pending]]:
        """At most `limit` unsettled deliveries of a destination with `seq > after`, in order, due or not. Where there
        are fewer, that is all.

        With `urgent` only those that are; else all of them.

        A row that can't be read goes to the dead letters with cause `bug`; it never blocks those after it.
        """

    def settle(rows: Sequence[Pending], at: float) -> Deferred[None]:
        """These were delivered, at that time. In the same transaction a trigger opens its incident and a resolve
        closes it; a repeated trigger leaves it as it is."""

    def drop(rows: Sequence[Pending], note: str, at: float) -> Deferred[None]:
        """These need not be told: settled, with the note as their reason. Their incidents stay as they are."""

    def postpone(postponements: Sequence[Postponement]) -> Deferred[None]:
        """These were tried and failed; they stay pending."""

    def bury(dead: Sequence[DeadLetter]) -> Deferred[None]:
        """Give these up: pending no more, kept among the dead letters."""

    def dead_letters(limit: int, before: int | None = None) -> Deferred[list[DeadLetter]]:
        """Those of the newest deliveries first, whenever they were given up.

        With `before` only those with a delivery `seq < before`: where the page before ended.
        """

    def dead_letters_named(ids: Sequence[str]) -> Deferred[list[DeadLetter]]:
        """Those of deliveries with these ids, the newest first. Of several with the same id only the newest."""

    def revive(seqs: Sequence[int], at: float) -> Deferred[list[Pending]]:
        """Take these dead letters back: pending again, due at once, with no attempts and an age that begins at `at`.

        They keep their seq and their id, so that receivers know a repeat. Fires with the rows; unknown ones are not
        among them.
        """

    def forget(seqs: Sequence[int]) -> Deferred[int]:
        """Drop these dead letters for good; fires with how many there were."""

    def stand(destination: str, standing: Standing) -> Deferred[None]:
        """Remember how a destination stands."""

    def standings() -> Deferred[dict[str, Standing]]:
        """How they stood, by destination."""

    def open_incidents() -> Deferred[list[OpenIncident]]:
        """All of them, the oldest first."""

    def recent_opens() -> Deferred[list[Opened]]:
        """The triggers that arrived within the last `OPENS_SECONDS`, or a little longer ago, in order."""

    def prune(now: float, limits: Limits) -> Deferred[Pruned]:
        """Keep the size within its limits, in steps so small that events are recorded in between."""

    def malformed(limit: int) -> Deferred[list[Malformed]]:
        """The newest first."""

    def history(limit: int) -> Deferred[list[Told]]:
        """Events, the newest first, whether they caused anything or not."""

    def destinations() -> Deferred[dict[str, int]]:
        """Pending deliveries by destination, those of destinations that no longer exist included."""
