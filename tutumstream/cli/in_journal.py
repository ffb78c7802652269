"""The dead letters of a journal that no service has open."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import TypeVar

import click
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tutumstream.journal.interface import IJournal
from tutumstream.journal.sql import SqlJournal
from tutumstream.journal.worker import InlineWorker
from tutumstream.operators.letters import Chosen, Filter, Found, Listing, Page, Shown, Step
from tutumstream.operators.office import Office

T = TypeVar("T")


class DoneInJournal:
    """We do it ourselves; what is retried is sent by the next service that has this journal.

    Args:
        journal: open, and works at once: its Deferreds have fired when they are given.
        office: over this journal.
    """

    when = "to be sent when the service starts"

    def __init__(self, journal: IJournal, office: Office) -> None:
        self._journal = journal
        self._office = office

    def page(self, listing: Listing) -> Page:
        """A part of a listing."""
        return self._done(self._office.page(listing))

    def find(self, wanted: Filter) -> Found:
        """The seqs of all that are meant, as far as one step looks."""
        return self._done(self._office.find(wanted))

    def show(self, letter_id: str) -> Shown | None:
        """One letter, without its message; None where there is none."""
        return self._done(self._office.show(letter_id))

    def retry(self, chosen: Chosen) -> Step:
        """One step of retrying."""
        return self._done(self._office.retry(chosen))

    def drop(self, chosen: Chosen) -> Step:
        """One step of dropping."""
        return self._done(self._office.drop(chosen))

    def _done(self, deferred: Deferred[T]) -> T:
        return _done(self._journal, deferred)


@contextmanager
def opened(state_dir: Path) -> Iterator[DoneInJournal]:
    """The journal of this folder; its lock keeps every service out meanwhile.

    Raises:
        JournalError: it can't be used; a service has it, for one.
        click.ClickException: there is none.
    """
    place = state_dir / "journal.sqlite3"
    try:
        place.stat()
    except (FileNotFoundError, NotADirectoryError):
        words = f"there is no journal in {state_dir}; --state-dir says where the service keeps it"
        raise click.ClickException(words) from None
    except OSError as problem:
        raise click.ClickException(f"{place} can't be looked at: {problem.strerror}") from problem
    # No time passes within a command, so what the journal would wait for does not come.
    journal = SqlJournal(place, InlineWorker(), Clock())
    _done(journal, journal.open())
    try:
        yield DoneInJournal(journal, Office(journal, time, lambda _: None, None))
    finally:
        _done(journal, journal.close())


def _done(journal: IJournal, deferred: Deferred[T]) -> T:
    """The result, which is there already: all work is done in this thread."""
    results: list[T | Failure] = []
    deferred.addBoth(results.append)
    if not results:
        # A service waits for better times; a command does not.
        raise click.ClickException(f"the journal {journal.health.problem}; nothing of this step may be done yet")
    (result,) = results
    if isinstance(result, Failure):
        result.raiseException()
    return result
