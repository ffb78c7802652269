"""How dead letters look: for eyes on a terminal, plain lines elsewhere.

Whatever came from outside is printed so that it can't speak to the terminal.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import click
import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from tutumstream.event import Event
from tutumstream.operators.letters import Letter, Shown


def number(count: int) -> str:
    """`1 dead letter`, `1,234 dead letters`."""
    return f"{count:,} dead letter{'' if count == 1 else 's'}"


def as_json(values: Sequence[object]) -> None:
    """One object a line."""
    for value in values:
        click.echo(msgspec.json.encode(value))


def listed(letters: Sequence[Letter], console: Console | None = None) -> None:
    """Some lines each; without a terminal one line, the columns apart by tabs."""
    console = console or Console(highlight=False)
    for each in letters:
        columns = [harmless(column).replace("\n", " / ") for column in _columns(each)]
        if console.is_terminal:
            first, destination, cause, when, attempts, event, reason = columns
            console.print(Text.assemble((first, "bold"), f"  {destination}  {cause}  {when}  attempts: {attempts}"))
            console.print(Padding(Text(f"{event}\n{reason}"), (0, 0, 0, 4)))
        else:
            console.file.write("\t".join(columns) + "\n")


def shown(found: Shown) -> None:
    """All that is known of one."""
    letter, event = found.letter, found.letter.event
    for name, text in (
        ("id", f"{letter.id} (seq {letter.seq})"),
        ("event", _event(event)),
        ("received", _time(event.received_at)),
        ("message", event.message),
        ("destination", letter.destination),
        ("route", f"{letter.route}: {letter.why}"),
        ("incident", f"{letter.incident.action} {letter.incident.key}" if letter.incident else ""),
        ("given up", _time(letter.died_at)),
        ("cause", letter.cause),
        ("reason", letter.reason),
        ("attempts", str(letter.attempts)),
    ):
        if text:
            click.echo(f"{click.style(f'{name:12}', bold=True)} {harmless(text)}")
    _block("answer", letter.answer or "(none)")
    _block("what a retry sends", found.text or f"({found.note})")


@contextmanager
def progress(doing: str, total: int, console: Console | None = None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while it takes long, where that is a terminal; call what it gives with what was done since."""
    console = console or Console(stderr=True)
    bar = Progress(
        TextColumn(doing),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(doing, total=total)
        yield lambda done: bar.advance(task, done)


def harmless(text: str) -> str:
    """Without anything that a terminal would obey; lines stay lines."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)


def _block(title: str, text: str) -> None:
    click.echo(click.style(title, bold=True))
    for line in harmless(text.strip()).split("\n"):
        click.echo(f"  {line}")


def _columns(each: Letter) -> tuple[str, ...]:
    when, attempts = _time(each.died_at), str(each.attempts)
    return each.id, each.destination, each.cause, when, attempts, _event(each.event), each.reason


def _event(event: Event) -> str:
    return " ".join(part for part in (event.type, event.action, event.state, event.resource_uri) if part)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
