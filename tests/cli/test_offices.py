from pathlib import Path

import click
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.journal.places import a_folder, an_empty_journal
from tests.operators.dead import bury
from tutumstream.cli.offices import at_hand
from tutumstream.errors import SettingsError
from tutumstream.journal.sql import SqlJournal
from tutumstream.journal.worker import InlineWorker
from tutumstream.operators.letters import Chosen, Filter, Listing


class WithoutAService(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = a_folder(self)
        self.variables = {"TUTUMSTREAM_LISTEN": "none", "TUTUMSTREAM_STATE_DIR": str(self.folder)}

    def journal(self, folder: Path) -> SqlJournal:
        path = folder / "journal.sqlite3"
        journal = SqlJournal(path if path.exists() else an_empty_journal(path), InlineWorker(), Clock())
        self.successResultOf(journal.open())
        self.addCleanup(lambda: self.successResultOf(journal.close()))
        return journal

    def refusal(self, **variables: str) -> str:
        with self.assertRaises(click.ClickException) as caught, at_hand({**self.variables, **variables}):
            self.fail("it was opened")
        return caught.exception.message

    def test_the_journal_does_it_all_and_is_let_go_of(self) -> None:
        journal = self.journal(self.folder)
        for name in "abc":
            bury(journal, name)
        self.successResultOf(journal.close())
        with at_hand(self.variables) as letters:
            self.assertEqual([each.id for each in letters.page(Listing()).letters], ["c-1", "b-1", "a-1"])
            self.assertEqual(letters.find(Filter()).seqs, [3, 2, 1])
            self.assertEqual(letters.retry(Chosen(ids=("a-1",))).done, 1)
            self.assertEqual(letters.drop(Chosen(seqs=(2,))).done, 1)
        again = self.journal(self.folder)
        self.assertEqual([row.id for row in self.successResultOf(again.pending("slack", 0, 9))], ["a-1"])
        self.assertEqual([each.pending.id for each in self.successResultOf(again.dead_letters(9))], ["c-1"])

    def test_letters_that_died_out_of_order_are_all_found(self) -> None:
        journal = self.journal(self.folder)
        first = bury(journal, "a")
        for name in "bc":
            bury(journal, name)
        # It dies again, after those that were recorded later.
        self.successResultOf(journal.revive([first.pending.seq], 3000.0))
        self.successResultOf(journal.bury([first]))
        self.successResultOf(journal.close())
        with at_hand(self.variables) as letters:
            page = letters.page(Listing(limit=1))
            ids = []
            while page.letters:
                ids += [each.id for each in page.letters]
                page = (
                    letters.page(Listing(limit=1, before=page.next)) if page.next else letters.page(Listing(before=1))
                )
        self.assertEqual(ids, ["c-1", "b-1", "a-1"])

    def test_no_journal_is_made_where_there_is_none(self) -> None:
        self.assertIn("there is no journal in", self.refusal())
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_folder_that_can_not_be_looked_at_is_told_with_the_reason(self) -> None:
        self.assertIn("can't be looked at: File name too long", self.refusal(TUTUMSTREAM_STATE_DIR="/" + "x" * 300))
        (self.folder / "file").touch()
        self.assertIn("there is no journal in", self.refusal(TUTUMSTREAM_STATE_DIR=f"{self.folder}/file"))

    def test_a_place_whose_host_can_be_none_is_told(self) -> None:
        for listen in ("http://a..b:1", "http://a b:1", f"http://{'x' * 64}:1", "tcp:1:interface=\udcff"):
            self.assertIn("can't be reached: no host can be called so", self.refusal(TUTUMSTREAM_LISTEN=listen))

    def test_a_journal_in_use_is_left_alone(self) -> None:
        self.journal(self.folder)
        problem = self.refusal()
        self.assertIn("is in use by another tutumstream", problem)
        self.assertIn("--listen is none", problem)
        self.assertIn("has to be stopped first", problem)

    def test_systemds_folder_is_known_as_the_service_knows_it(self) -> None:
        (self.folder / "a").mkdir()
        self.successResultOf(self.journal(self.folder / "a").close())
        with at_hand({"TUTUMSTREAM_LISTEN": "none", "STATE_DIRECTORY": f"{self.folder}/a:/elsewhere"}) as letters:
            self.assertEqual(letters.page(Listing()).letters, [])

    def test_a_place_that_is_none_is_refused(self) -> None:
        with self.assertRaises(SettingsError) as caught, at_hand({"TUTUMSTREAM_LISTEN": "systemd:domain=INET"}):
            self.fail("it was opened")
        self.assertIn("--listen", str(caught.exception))
