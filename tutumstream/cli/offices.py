"""The way to the dead letters: through the service that runs, or in the journal when none does."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import click

from tutumstream.cli import place, wire
from tutumstream.cli.through_service import AskedOfService
from tutumstream.errors import JournalError, SettingsError
from tutumstream.operators.letters import Chosen, Filter, Found, Listing, Page, Shown, Step
from tutumstream.whereabouts import LISTEN, state_dir


class DeadLetters(Protocol):
    """What the commands do, one bounded step at a time; see `operators.office.Office`."""

    when: str
    """What becomes of what is retried, in words."""

    def page(self, listing: Listing) -> Page:
        """A part of a listing."""

    def find(self, wanted: Filter) -> Found:
        """The seqs of all that are meant, as far as one step looks."""

    def show(self, letter_id: str) -> Shown | None:
        """One letter with its message; None where there is none."""

    def retry(self, chosen: Chosen) -> Step:
        """One step of retrying."""

    def drop(self, chosen: Chosen) -> Step:
        """One step of dropping."""


Open = Callable[[Mapping[str, str]], AbstractContextManager[DeadLetters]]
"""Takes the variables that say where: the environment's, options written over them."""

WHERE = ("TUTUMSTREAM_LISTEN", "TUTUMSTREAM_STATE_DIR", "STATE_DIRECTORY")


@contextmanager
def at_hand(variables: Mapping[str, str]) -> Iterator[DeadLetters]:
    """The service's dead letters where one answers, else those of the journal; says on stderr when it is the latter.

    Raises:
        SettingsError: TUTUMSTREAM_LISTEN names no place, or there is no folder where the journal could be.
        click.ClickException: neither can be used.
        JournalError: the journal gave up half-way.
    """
    given = (variables.get(name, "") for name in WHERE)
    listen, chosen, of_systemd = (value if value.strip() else "" for value in given)
    try:
        listens = place.parse(listen or LISTEN)
    except ValueError as problem:
        raise SettingsError([f"--listen: {problem}"]) from None
    if listens is not None and wire.answers(listens):
        yield AskedOfService(str(listens), wire.asking(listens))
        return
    if listens is not None and not listens.here:
        raise click.ClickException(f"nothing listens at {listens}")
    folder = state_dir("tutumstream", chosen, of_systemd)
    with ExitStack() as held:
        letters = _opened(held, folder, "--listen is none" if listens is None else f"nothing listens at {listens}")
        yield letters


def _opened(held: ExitStack, folder: Path, why: str) -> DeadLetters:
    # SQL takes a while to load, and mostly a service answers.
    from tutumstream.cli import in_journal

    try:
        letters = held.enter_context(in_journal.opened(folder))
    except (JournalError, click.ClickException) as problem:
        raise click.ClickException(
            f"{why}, so the journal is needed, and that can't be used:\n{problem}\n"
            "If a service runs with it, --listen must say where that can be asked; one that listens nowhere has to be "
            "stopped first."
        ) from problem
    click.echo(f"{why}: working on the journal in {folder}", err=True)
    return letters
