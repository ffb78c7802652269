"""Dead letters as operators see them: what the API says in JSON, and what it may be asked. Values only."""

from typing import Annotated, Final, Literal, get_args

import msgspec

from tutumstream.event import Event
from tutumstream.journal.interface import DeadLetter, DeathCause
from tutumstream.routing.delivery import Incident

CAUSES: Final[tuple[DeathCause, ...]] = get_args(DeathCause)

STEP: Final = 250
"""Letters that one request may change."""

PAGE: Final = 500
"""Letters in one answer, at most."""


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that was given up.

    Attributes:
        id: the delivery's, `<event id>-<n>`; what its receiver would have seen.
        seq: its place in the journal; where a listing goes on (`before`).
        route, why: the route that wanted it, and the condition that held.
        cause, reason: the class of what went wrong, and the words.
        answer: the start of what the destination answered last.
        died_at: seconds since 1970.
    """

    id: str
    seq: int
    destination: str
    route: str
    why: str
    incident: Incident | None
    cause: DeathCause
    reason: str
    answer: str
    attempts: int
    died_at: float
    event: Event


def letter(dead: DeadLetter) -> Letter:
    """The journal's form in the API's."""
    row = dead.pending
    return Letter(
        id=row.id,
        seq=row.seq,
        destination=row.delivery.destination,
        route=row.delivery.route,
        why=row.delivery.reason,
        incident=row.delivery.incident,
        cause=dead.cause,
        reason=dead.reason,
        answer=dead.answer,
        attempts=row.attempts,
        died_at=dead.died_at,
        event=row.event,
    )


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One letter with the message that a retry would send.

    Attributes:
        text: by today's template; "" where there is none, and `note` says why.
    """

    letter: Letter
    text: str = ""
    note: str = ""


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which letters are meant; "" means any.

    Attributes:
        before: only deliveries with a lower seq: where the answer before ended; null begins with the newest.
    """

    destination: str = ""
    cause: DeathCause | Literal[""] = ""
    before: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None

    def takes(self, dead: DeadLetter) -> bool:
        """Whether this one is meant. `before` is not looked at: the journal does that."""
        return self.destination in ("", dead.pending.delivery.destination) and self.cause in ("", dead.cause)


class Listing(Filter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a listing is asked for."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE)] = 50


class Chosen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which letters are to be changed: by id, or by seq, which needs no search.

    Two deliveries can share an id, where a stream repeats its own: the newest is meant then.
    """

    ids: Annotated[tuple[str, ...], msgspec.Meta(max_length=STEP)] = ()
    seqs: Annotated[tuple[int, ...], msgspec.Meta(max_length=STEP)] = ()

    def __post_init__(self) -> None:
        if bool(self.ids) == bool(self.seqs):
            raise ValueError("give either ids or seqs")


class Page(msgspec.Struct, frozen=True):
    """A part of a listing, the newest deliveries first.

    Attributes:
        next: ask again with this as `before`; null at the end. There may be fewer letters than asked for before it.
        destinations: those that the service has; none where no service runs.
    """

    letters: list[Letter]
    next: int | None
    destinations: list[str] = []


class Found(msgspec.Struct, frozen=True):
    """The seqs of all letters that a filter takes, as far as one request looks: to be changed in steps.

    Change the lowest first: what is for one incident or resource then arrives in its order.

    Attributes:
        next, destinations: as in `Page`.
    """

    seqs: list[int]
    next: int | None
    destinations: list[str] = []


class Step(msgspec.Struct, frozen=True):
    """What one request changed.

    Attributes:
        done: so many are dead letters no more.
        unknown: those of the ids for which there was none.
        absent: destinations of these that the service does not have: what is for them waits until it does.
        opening: destinations where these open incidents, which may be over by now.
    """

    done: int
    unknown: list[str] = []
    absent: list[str] = []
    opening: list[str] = []
