from io import StringIO

import msgspec
from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from tests.operators.dead import a_journal, bury
from tutumstream.cli import printing
from tutumstream.operators.letters import letter

LETTER = msgspec.structs.replace(letter(bury(a_journal(), "a")), reason="it\nanswered\x1b[2J [bold]400\t\x07é")


class WhatIsPrinted(SynchronousTestCase):
    def listed(self, **console: object) -> str:
        out = StringIO()
        printing.listed([LETTER], Console(file=out, width=200, highlight=False, **console))  # type: ignore[arg-type]
        return out.getvalue()

    def test_is_one_line_a_letter_where_nobody_looks(self) -> None:
        columns = self.listed().removesuffix("\n").split("\t")
        self.assertEqual(columns[:5], ["a-1", "slack", "rejected", "1970-01-01T00:33:20Z", "1"])
        self.assertEqual(
            columns[5:], ["container update Running /api/v1/container/a/", r"it / answered\x1b[2J [bold]400\t\x07é"]
        )

    def test_is_laid_out_on_a_terminal_and_obeys_nothing_that_came_from_outside(self) -> None:
        lines = self.listed(force_terminal=True, no_color=True).splitlines()
        self.assertEqual(len(lines), 3)
        self.assertIn("slack  rejected  1970-01-01T00:33:20Z  attempts: 1", lines[0])
        self.assertEqual(lines[1].strip(), "container update Running /api/v1/container/a/")
        self.assertEqual(lines[2].strip(), r"it / answered\x1b[2J [bold]400\t\x07é")

    def test_counts_in_words(self) -> None:
        self.assertEqual(
            [printing.number(n) for n in (0, 1, 1234)], ["0 dead letters", "1 dead letter", "1,234 dead letters"]
        )

    def progress(self, **console: object) -> str:
        out = StringIO()
        with printing.progress("retrying", 5, Console(file=out, width=80, **console)) as advance:  # type: ignore[arg-type]
            advance(2)
            advance(3)
        return out.getvalue()

    def test_a_bar_shows_how_far_it_is_on_a_terminal_only(self) -> None:
        shown = self.progress(force_terminal=True, no_color=True)
        self.assertIn("retrying", shown)
        self.assertIn("5/5", shown)
        self.assertEqual(self.progress(), "")
