"""`tutumstream COMMAND …`: what operators ask of a service, or of its journal when none runs.

The exit status is 0 where everything asked for was done, else 1.
"""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from os import devnull
from typing import Any

import click

from tutumstream import __version__
from tutumstream.cli import printing
from tutumstream.cli.dead_letters import dead_letters
from tutumstream.cli.gateway_user import gateway_user
from tutumstream.errors import TutumstreamError


class Commands(click.Group):
    """Every error is told on stderr, without a traceback, and ends with 1; click would give its own mistakes a 2."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the command line's first part."""
        _prepare()
        with _told():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Read the rest, and do it."""
        with _told():
            return super().invoke(ctx)


def _prepare() -> None:
    """What the terminal's encoding lacks is shown as on stderr; a standard input that is closed is an empty one."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.stdin is None:
        sys.stdin = open(devnull, encoding="utf-8")  # noqa: SIM115  (for as long as the process)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.UsageError as mistake:
        mistake.show()
        raise click.exceptions.Exit(1) from mistake
    except click.ClickException as problem:
        raise click.ClickException(printing.harmless(problem.message)) from problem
    except TutumstreamError as problem:
        raise click.ClickException(printing.harmless(str(problem))) from problem
    except OSError as problem:
        if problem.errno == errno.EPIPE:
            # Nobody reads on; click ends with 1 then, and without a word.
            raise
        # Python would try once more at its end, and leave with 120.
        with suppress(OSError):
            sys.stdout.close()
        raise click.ClickException(f"the output can't be written: {problem.strerror}") from problem


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="tutumstream %(version)s")
def main() -> None:
    """Look into a tutumstream service, and help it where it needs a hand.

    The service itself is started by twistd: `twistd -n tutumstream`.
    """


main.add_command(dead_letters)
main.add_command(gateway_user)
