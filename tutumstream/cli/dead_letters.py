"""`tutumstream dead-letters …`: deliveries that were given up, and what may still become of them."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from tutumstream.cli import printing, steps
from tutumstream.cli.offices import DeadLetters, Open, at_hand
from tutumstream.operators.letters import CAUSES, Filter

Command = TypeVar("Command", bound=Callable[..., Any])


def text(value: str) -> str:
    """The same; bytes that are no UTF-8 come as lone surrogates (PEP 383), which can neither be stored nor be sent.

    Raises:
        click.BadParameter: it holds one.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("it is not UTF-8 text") from None
    return value


@dataclass(frozen=True, slots=True)
class Where:
    """The options that say where the dead letters are."""

    listen: str | None
    state_dir: str | None


def where(command: Command) -> Command:
    """The options that every command has."""
    listen = click.option(
        "--listen",
        metavar="URL|ENDPOINT",
        help="Where the service listens: its URL, or what its --listen is. [TUTUMSTREAM_LISTEN]",
    )
    state_dir = click.option(
        "--state-dir",
        metavar="DIR",
        help="Where the journal lives; it is opened when no service answers. [TUTUMSTREAM_STATE_DIR, STATE_DIRECTORY]",
    )
    return listen(state_dir(command))


def narrowed(command: Command) -> Command:
    """The options of those that may take many."""
    destination = click.option(
        "--destination", type=text, default="", metavar="NAME", help="Only those for this destination."
    )
    cause = click.option(
        "--cause",
        "--reason",
        "cause",
        type=click.Choice(CAUSES),
        default=None,
        help="Only those given up because of it.",
    )
    return destination(cause(command))


@click.group("dead-letters", short_help="Deliveries that were given up.")
def dead_letters() -> None:
    """Deliveries that were given up: refused by their destination, too old, or too many.

    Asks the service that runs; when none does, its journal is opened instead.
    """


@dead_letters.command("list")
@narrowed
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@where
@click.pass_context
def list_(
    ctx: click.Context,
    destination: str,
    cause: Any,
    limit: int,
    as_json: bool,
    listen: str | None,
    state_dir: str | None,
) -> None:
    """List them, the newest first."""
    with _letters(ctx, Where(listen, state_dir)) as letters:
        # One more than asked for tells whether there are more.
        found = steps.pages(letters, Filter(destination=destination, cause=cause or ""), limit + 1)
    shown = found[:limit]
    if as_json:
        printing.as_json(shown)
    else:
        printing.listed(shown)
    if len(found) > limit:
        click.echo(f"There are more; --limit {2 * limit} shows more of them.", err=True)
    elif not found:
        click.echo("There are none.", err=True)


@dead_letters.command("show")
@click.argument("letter_id", type=text, metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@where
@click.pass_context
def show(ctx: click.Context, letter_id: str, as_json: bool, listen: str | None, state_dir: str | None) -> None:
    """Show one: its event, why it was given up, what was answered, and what a retry would send."""
    with _letters(ctx, Where(listen, state_dir)) as letters:
        found = letters.show(letter_id)
    if found is None:
        raise click.ClickException(f"there is no dead letter {letter_id}")
    if as_json:
        printing.as_json([found])
    else:
        printing.shown(found)


@dead_letters.command("retry")
@click.argument("ids", type=text, nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All of them, or all that the filters leave.")
@narrowed
@where
@click.pass_context
def retry(
    ctx: click.Context,
    ids: tuple[str, ...],
    everything: bool,
    destination: str,
    cause: Any,
    listen: str | None,
    state_dir: str | None,
) -> None:
    """Send them again, in today's words, and only to where they failed."""
    wanted = _wanted(ids, everything, destination, cause)
    with _letters(ctx, Where(listen, state_dir)) as letters:
        if wanted is None:
            outcome = steps.change_ids(letters.retry, ids, "retrying")
        else:
            outcome = steps.change_seqs(letters.retry, steps.find(letters, wanted), "retrying")
        for name in outcome.absent:
            click.echo(f"The service has no destination {name}: what is for it waits until it has.", err=True)
        for name in outcome.opening:
            click.echo(f"This opens incidents at {name}: one that is over by now has to be resolved there.", err=True)
        click.echo(f"{printing.number(outcome.done)} {letters.when}.")
    _end(outcome)


@dead_letters.command("drop")
@click.argument("ids", type=text, nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All of them, or all that the filters leave.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@narrowed
@where
@click.pass_context
def drop(
    ctx: click.Context,
    ids: tuple[str, ...],
    everything: bool,
    yes: bool,
    destination: str,
    cause: Any,
    listen: str | None,
    state_dir: str | None,
) -> None:
    """Throw them away for good."""
    wanted = _wanted(ids, everything, destination, cause)
    with _letters(ctx, Where(listen, state_dir)) as letters:
        if wanted is None:
            outcome = steps.change_ids(letters.drop, ids, "dropping")
        else:
            found = steps.find(letters, wanted)
            if found and not yes:
                click.confirm(f"Drop {printing.number(len(found))} for good?", abort=True, err=True)
            outcome = steps.change_seqs(letters.drop, found, "dropping")
        click.echo(f"{printing.number(outcome.done)} dropped.")
    _end(outcome)


@contextmanager
def _letters(ctx: click.Context, options: Where) -> Iterator[DeadLetters]:
    given = {"TUTUMSTREAM_LISTEN": options.listen, "TUTUMSTREAM_STATE_DIR": options.state_dir}
    open_them: Open = at_hand if ctx.obj is None else ctx.obj
    with open_them({**os.environ, **{name: text for name, text in given.items() if text}}) as letters:
        yield letters


def _wanted(ids: tuple[str, ...], everything: bool, destination: str, cause: Any) -> Filter | None:
    """The filter of `--all`; None where ids were given."""
    if bool(ids) == everything:
        raise click.UsageError("Give either ids or --all.")
    if ids and (destination or cause):
        raise click.UsageError("--destination and --cause go with --all: an id says it all.")
    return None if ids else Filter(destination=destination, cause=cause or "")


def _end(outcome: steps.Outcome) -> None:
    """Nothing where all was done; else what was not."""
    if outcome.unknown:
        raise click.ClickException("there is no dead letter " + ", ".join(outcome.unknown))
