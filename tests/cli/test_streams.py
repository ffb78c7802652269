"""Where the command's words go to, and where its answers come from, may be full, closed or of an old encoding."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import BytesIO, StringIO, TextIOWrapper
from typing import Any

import pytest
from click.testing import CliRunner

from tests.operators.dead import NOW, a_journal
from tutumstream.cli.in_journal import DoneInJournal
from tutumstream.cli.main import main
from tutumstream.operators.office import Office

PRINTING = (
    ["dead-letters", "list"],
    ["dead-letters", "list", "--json"],
    ["dead-letters", "show", "a-1"],
    ["dead-letters", "retry", "a-1"],
    ["--version"],
    ["dead-letters", "--help"],
)


@contextmanager
def opened(_: object) -> Iterator[DoneInJournal]:
    journal = a_journal("a", "é")
    yield DoneInJournal(journal, Office(journal, lambda: NOW, lambda _: None, None))


def run(arguments: list[str], stdout: Any) -> tuple[int, str]:
    """The status, and what stands on stderr."""
    with redirect_stdout(stdout), redirect_stderr(StringIO()) as said, pytest.raises(SystemExit) as end:
        main.main(arguments, prog_name="tutumstream", obj=opened)
    assert isinstance(end.value.code, int)
    return end.value.code, said.getvalue()


class Gone(BytesIO):
    """A pipe that nobody reads."""

    def write(self, _: Any) -> int:
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("arguments", [*PRINTING, ["gateway-user", "alice"]], ids=" ".join)
def test_output_that_can_not_be_written_is_told_and_ends_with_one(arguments: list[str]) -> None:
    full = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115  (to be closed by the command)
    status, said = run(arguments, full)
    assert (status, said.splitlines()[-1]) == (1, "Error: the output can't be written: No space left on device")
    # Python would try again at its end what is left in an open one.
    assert full.closed


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_nothing_is_said_where_nobody_reads_on(arguments: list[str]) -> None:
    pipe = TextIOWrapper(Gone(), encoding="utf-8")
    assert run(arguments, pipe) == (1, "")
    with suppress(OSError):
        pipe.close()


def test_what_the_encoding_lacks_is_escaped() -> None:
    held = BytesIO()
    assert run(["dead-letters", "list"], TextIOWrapper(held, encoding="ascii")) == (0, "")
    assert held.getvalue().startswith(b"\\xe9-1\tslack\t")


def test_a_standard_input_that_is_closed_is_an_empty_one() -> None:
    before = sys.stdin
    try:
        for arguments, words in (
            (["gateway-user", "alice", "--stdin"], "a key has at least 16 characters"),
            (["dead-letters", "drop", "--all"], "Aborted!"),
        ):
            sys.stdin = None  # type: ignore[assignment]
            status, said = run(arguments, StringIO())
            sys.stdin.close()
            assert status == 1
            assert words in said
    finally:
        sys.stdin = before


def test_a_standard_input_that_can_not_be_read_is_not_taken_for_an_output_that_can_not_be_written() -> None:
    before = sys.stdin
    try:
        with open(os.open(os.devnull, os.O_WRONLY)) as sys.stdin:
            status, said = run(["gateway-user", "alice", "--stdin"], StringIO())
    finally:
        sys.stdin = before
    assert status == 1
    assert "standard input can't be read" in said


def test_what_an_error_repeats_is_nothing_that_a_terminal_obeys() -> None:
    for arguments in (["\x1b[31m"], ["dead-letters", "show", "\x1b[31m"], ["dead-letters", "list", "--cause", "\x1b["]):
        done = CliRunner().invoke(main, arguments, obj=opened)
        assert done.exit_code == 1
        assert "\\x1b[" in done.stderr
        assert "\x1b" not in done.stderr
