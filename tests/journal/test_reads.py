"""What reading costs: every window and view comes from an index, however long the history is."""

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection, event
from twisted.trial.unittest import SynchronousTestCase

from tests.journal.places import a_folder, an_empty_journal
from tutumstream.journal import reads
from tutumstream.journal.opening import file_of, open_file


class QueryPlanTests(SynchronousTestCase):
    """As SQLite explains them."""

    def plan(self, read: Callable[[Connection], object]) -> list[str]:
        """The steps that the statement of this reading takes."""
        file = open_file(file_of(str(an_empty_journal(a_folder(self) / "j"))))
        self.addCleanup(file.close)
        sent: list[tuple[str, tuple[object, ...]]] = []

        @event.listens_for(file.connection, "before_cursor_execute")
        def note(_c: object, _u: object, statement: str, parameters: tuple[object, ...], *_rest: object) -> None:
            sent.append((statement, parameters))

        read(file.connection)
        statement, parameters = next(each for each in sent if each[0] != "BEGIN")
        return [row[3] for row in file.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]

    def test_a_window_of_a_backlog(self) -> None:
        self.assertEqual(
            self.plan(lambda connection: reads.pending(connection, "slack", 5, 100, urgent=False)),
            [
                "SEARCH deliveries USING INDEX pending (destination=? AND seq>?)",
                "SEARCH events USING INTEGER PRIMARY KEY (rowid=?)",
            ],
        )

    def test_a_window_of_what_is_urgent_in_a_backlog(self) -> None:
        self.assertEqual(
            self.plan(lambda connection: reads.pending(connection, "slack", 5, 100, urgent=True)),
            [
                "SEARCH deliveries USING INDEX urgent (destination=? AND urgent=? AND seq>?)",
                "SEARCH events USING INTEGER PRIMARY KEY (rowid=?)",
            ],
        )

    def test_the_backlogs(self) -> None:
        self.assertEqual(self.plan(reads.backlogs), ["SCAN deliveries USING COVERING INDEX pending"])

    def test_a_page_of_dead_letters(self) -> None:
        for before, seek in ((None, ""), (7, " (delivery_seq<?)")):
            first, *rest = self.plan(partial(reads.newest_dead_letters, limit=10, before=before))
            self.assertIn("dead_letters USING INDEX sqlite_autoindex_dead_letters_1" + seek, first)
            for step in rest:
                self.assertIn("USING INTEGER PRIMARY KEY", step)

    def test_a_dead_letter_by_its_id(self) -> None:
        steps = self.plan(partial(reads.dead_letters_named, ids=["a-1"]))
        self.assertIn("SEARCH dead_letters USING INDEX ix_dead_letters_id (id=?)", steps)
        self.assertEqual([each for each in steps if each.startswith("SCAN") and "VIRTUAL TABLE" not in each], [])

    def test_the_newest_events_and_malformed_messages_come_without_sorting(self) -> None:
        for read in (reads.newest_events, reads.newest_malformed):
            (step,) = self.plan(partial(read, limit=10))
            self.assertIn("SCAN", step)

    def test_the_last_seqs(self) -> None:
        steps = [
            step for step in self.plan(reads.last_seqs) if step.startswith(("SEARCH", "SCAN events", "SCAN deliv"))
        ]
        self.assertEqual(steps, ["SEARCH events", "SEARCH deliveries"])
