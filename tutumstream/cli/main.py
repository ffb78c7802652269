"""`tutumstream COMMAND …`: what operators ask of a service, or of its journal when none runs.

The exit status is 0 where everything asked for was done, else 1.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from tutumstream import __version__
from tutumstream.cli.dead_letters import dead_letters
from tutumstream.cli.gateway_user import gateway_user
from tutumstream.errors import TutumstreamError


class Commands(click.Group):
    """Every error is told on stderr, without a traceback, and ends with 1; click would give its own mistakes a 2."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the command line's first part."""
        with _told():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Read the rest, and do it."""
        with _told():
            return super().invoke(ctx)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except click.UsageError as mistake:
        mistake.show()
        raise click.exceptions.Exit(1) from mistake
    except TutumstreamError as problem:
        raise click.ClickException(str(problem)) from problem


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="tutumstream %(version)s")
def main() -> None:
    """Look into a tutumstream service, and help it where it needs a hand.

    The service itself is started by twistd: `twistd -n tutumstream`.
    """


main.add_command(dead_letters)
main.add_command(gateway_user)
