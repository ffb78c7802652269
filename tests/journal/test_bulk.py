"""Many rows in few statements, none lost or turned around."""

from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, create_engine, event, select
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.journal.bulk import MOST_ROWS, inserting

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

    def test_rows_arrive_in_order_by_few_statements(self) -> None:
        connection, sent = self.connect()
        inserting(WORDS, "word").run(connection, [(f"w{n}",) for n in range(1000)])
        words = list(connection.scalars(select(WORDS.c.word).order_by(WORDS.c.seq)))
        self.assertEqual(words, [f"w{n}" for n in range(1000)])
        self.assertEqual(len(sent) - 1, 2)

    def test_any_number_of_rows_arrives_and_few_texts_serve_them_all(self) -> None:
        connection, sent = self.connect()
        adding = inserting(WORDS, "word")
        counts = [*range(1, 20), MOST_ROWS - 1, MOST_ROWS, MOST_ROWS + 1]
        for count in counts:
            adding.run(connection, [(f"{count}-{n}",) for n in range(count)])
        words = list(connection.scalars(select(WORDS.c.word).order_by(WORDS.c.seq)))
        self.assertEqual(words, [f"{count}-{n}" for count in counts for n in range(count)])
        self.assertLessEqual(len(set(sent)), MOST_ROWS.bit_length() + 1)

    def test_no_rows_take_no_statement(self) -> None:
        connection, sent = self.connect()
        inserting(WORDS, "word").run(connection, [])
        self.assertEqual(sent, [])

    def test_other_columns_may_be_null(self) -> None:
        connection, _ = self.connect()
        inserting(WORDS, "seq", "word").run(connection, [(7, "seven"), (8, None)])
        self.assertEqual([tuple(row) for row in connection.execute(select(WORDS))], [(7, "seven"), (8, None)])
