"""Many rows in few statements, none lost or turned around."""

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, create_engine, event, select
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.journal.bulk import MOST_ROWS, inserting, pieces

METADATA = MetaData()
WORDS = Table("words", METADATA, Column("seq", Integer, primary_key=True), Column("word", Text))


class BulkTests(SynchronousTestCase):
    """On a table of two columns."""

    def connect(self) -> tuple[Connection, list[str]]:
        """A database in memory, and the statements it was sent."""
        connection = create_engine("sqlite://").connect()
        self.addCleanup(connection.close)
        METADATA.create_all(connection)
        sent: list[str] = []

        @event.listens_for(connection, "before_cursor_execute")
        def note(_c: object, _u: object, statement: str, *_rest: object) -> None:
            sent.append(statement)

        return connection, sent

    @given(st.integers(0, 3 * MOST_ROWS))
    def test_pieces_are_few_and_hold_every_row_in_order(self, count: int) -> None:
        rows = [(n,) for n in range(count)]
        cut = list(pieces(rows))
        self.assertEqual([row for piece in cut for row in piece], rows)
        self.assertLessEqual(len(cut), count // MOST_ROWS + MOST_ROWS.bit_length())
        self.assertLessEqual({len(piece) for piece in cut}, {2**n for n in range(MOST_ROWS.bit_length())})

    def test_rows_arrive_in_order_by_few_statements(self) -> None:
        connection, sent = self.connect()
        inserting(WORDS, "word").run(connection, [(f"w{n}",) for n in range(1000)])
        words = list(connection.scalars(select(WORDS.c.word).order_by(WORDS.c.seq)))
        self.assertEqual(words, [f"w{n}" for n in range(1000)])
        self.assertEqual(len(sent) - 1, (1000).bit_count())

    def test_no_rows_take_no_statement(self) -> None:
        connection, sent = self.connect()
        inserting(WORDS, "word").run(connection, [])
        self.assertEqual(sent, [])

    def test_names_may_come_in_any_order(self) -> None:
        connection, _ = self.connect()
        inserting(WORDS, "word", "seq").run(connection, [("seven", 7), (None, 8)])
        self.assertEqual([tuple(row) for row in connection.execute(select(WORDS))], [(7, "seven"), (8, None)])
