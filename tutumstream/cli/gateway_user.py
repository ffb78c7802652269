"""`tutumstream gateway-user NAME`: makes a line for the gateway's file of users."""

import secrets
import sys

import click

from tutumstream.gateway.users import SALT_SIZE, hash_key

SHORTEST = 16
"""Characters of a key of one's own. Whoever guesses it may stop every container."""


def _given() -> str:
    try:
        return sys.stdin.buffer.readline().decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise click.UsageError("a key is text in UTF-8; without --stdin one is made") from None
    except OSError as problem:
        raise click.UsageError(
            f"standard input can't be read ({problem.strerror}); without --stdin a key is made"
        ) from None


@click.command("gateway-user")
@click.argument("name")
@click.option("--stdin", is_flag=True, help="Read the key from standard input instead of making one.")
def gateway_user(name: str, stdin: bool) -> None:
    """Make an API key for NAME.

    The line for `twistd -n tutumgateway --users FILE` goes to standard output, so that `>> FILE` adds it; the key
    itself goes to standard error, this once, and is kept nowhere.
    """
    key = _given() if stdin else secrets.token_hex(20)
    if len(key) < SHORTEST:
        raise click.UsageError(f"a key has at least {SHORTEST} characters; without --stdin one is made")
    line = hash_key(name, key.encode(), secrets.token_bytes(SALT_SIZE)).line()
    click.echo(line)
    if not stdin:
        click.echo(f"The API key of {name}: {key}", err=True)
