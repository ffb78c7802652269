"""Long work in bounded steps: what is asked for as a whole, put together from what one request does."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import click
import msgspec

from tutumstream.cli import printing
from tutumstream.cli.offices import DeadLetters
from tutumstream.operators.letters import PAGE, STEP, Chosen, Filter, Letter, Listing, Step

T = TypeVar("T")

Change = Callable[[Chosen], Step]
"""Does one step."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of all that was meant.

    Attributes:
        unknown: ids without a dead letter.
        absent: destinations that the service does not have.
        opening: destinations where incidents are opened by it.
    """

    done: int
    unknown: Sequence[str]
    absent: Sequence[str]
    opening: Sequence[str]


def pages(letters: DeadLetters, wanted: Filter, limit: int) -> list[Letter]:
    """The newest that the filter takes, at most `limit`.

    Raises:
        click.ClickException: there is none, and no such destination.
    """
    found: list[Letter] = []
    before: int | None = None
    while len(found) < limit:
        page = letters.page(
            Listing(
                destination=wanted.destination,
                cause=wanted.cause,
                before=before,
                limit=min(PAGE, limit - len(found)),
            )
        )
        found += page.letters
        before = page.next
        if before is None:
            break
    if not found:
        _check(wanted, page.destinations)
    return found


def find(letters: DeadLetters, wanted: Filter) -> list[int]:
    """The seqs of all that the filter takes, in the order of their deliveries.

    Raises:
        click.ClickException: there is none, and no such destination.
    """
    seqs: list[int] = []
    before: int | None = None
    while True:
        found = letters.find(msgspec.structs.replace(wanted, before=before))
        seqs += found.seqs
        before = found.next
        if before is None:
            break
    if not seqs:
        _check(wanted, found.destinations)
    return sorted(seqs)


def _check(wanted: Filter, known: Sequence[str]) -> None:
    """Nothing was found: a name with a slip in it must not look like good news."""
    if wanted.destination and known and wanted.destination not in known:
        raise click.ClickException(f"there is no destination {wanted.destination}: there are {', '.join(known)}")


def change_ids(one_step: Change, ids: Sequence[str], doing: str) -> Outcome:
    """Do it to these."""
    once = dict.fromkeys(ids)
    return _change(one_step, (Chosen(ids=part) for part in _batched(once, STEP)), doing, len(once))


def change_seqs(one_step: Change, seqs: Sequence[int], doing: str) -> Outcome:
    """Do it to these, in this order."""
    return _change(one_step, (Chosen(seqs=part) for part in _batched(seqs, STEP)), doing, len(seqs))


def _change(one_step: Change, parts: Iterable[Chosen], doing: str, total: int) -> Outcome:
    done, unknown, absent, opening = 0, list[str](), set[str](), set[str]()
    with printing.progress(doing, total) as advance:
        for part in parts:
            step = one_step(part)
            done += step.done
            unknown += step.unknown
            absent.update(step.absent)
            opening.update(step.opening)
            advance(len(part.ids) + len(part.seqs))
    return Outcome(done, unknown, sorted(absent), sorted(opening))


def _batched(values: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    # itertools.batched came with Python 3.12.
    left = iter(values)
    while part := tuple(islice(left, size)):
        yield part
