"""One SQL statement for many rows.

Python's sqlite3 lets go of the interpreter lock around every step of a statement, and a busy reactor may keep it for
5 ms (`sys.getswitchinterval`) each time. `executemany` takes one step a row: beside a thread that never paused, a group
of 500 rows took up to 8 seconds, and 0.1 seconds as one statement. `benchmarks/journal.py` shows it.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from json import dumps
from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnClause,
    Connection,
    Delete,
    Insert,
    Select,
    Table,
    Update,
    bindparam,
    column,
    func,
    insert,
    select,
    values,
)

Row = tuple[object, ...]
"""The values of one row, in the order of the statement's columns."""

MOST_ROWS: Final = 512
"""Rows in one statement, a power of two. SQLite takes 32,766 values at once; the widest row has twelve."""


class Bulk:
    """A statement over rows that are given as a table of their own.

    Args:
        columns: what each row holds.
        build: makes the statement from that table; it must use no other parameters, and pass over rows of NULLs.
    """

    def __init__(self, columns: Sequence[ColumnClause[Any]], build: Callable[[CTE], Insert | Update | Delete]) -> None:
        self._columns = columns
        self._build = build
        self._texts: dict[int, str] = {}
        self._row = f"({', '.join('?' * len(columns))})"

    def run(self, connection: Connection, rows: Sequence[Row]) -> list[Row]:
        """Do it for all rows, in order. What the statement returns, where it returns something."""
        answers: list[Row] = []
        for start in range(0, len(rows), MOST_ROWS):
            piece = rows[start : start + MOST_ROWS]
            # Filled up with rows of NULLs to the next power of two, so that ten texts serve every number of rows, each
            # in one statement.
            size = 1 << (len(piece) - 1).bit_length()
            blanks = (None,) * (len(self._columns) * (size - len(piece)))
            answer = connection.exec_driver_sql(self.text(connection, size), (*chain.from_iterable(piece), *blanks))
            if answer.returns_rows:
                answers += map(tuple, answer)
        return answers

    def text(self, connection: Connection, size: int) -> str:
        """The SQL for so many rows; made once for each size."""
        if not self._texts:
            self._texts[1] = self._of_one(connection)
        if size not in self._texts:
            # Compiling it for 512 rows takes a tenth of a second, in the middle of the first storm.
            rows = ", ".join([self._row] * size)
            self._texts[size] = self._texts[1].replace(f"VALUES {self._row}", f"VALUES {rows}", 1)
        return self._texts[size]

    def _of_one(self, connection: Connection) -> str:
        blanks = tuple(bindparam(None, type_=each.type) for each in self._columns)
        given = values(*self._columns, name="given").data([blanks]).cte("given")
        return str(self._build(given).compile(dialect=connection.dialect))


def inserting(table: Table, *names: str) -> Bulk:
    """Add rows to a table; columns that are not named get their defaults. The first one named must not be NULL."""

    def build(given: CTE) -> Insert:
        return insert(table).from_select(names, select(given).where(given.c[names[0]].is_not(None)))

    return Bulk([column(name, table.c[name].type) for name in names], build)


def among(values: Sequence[int] | Sequence[str]) -> Select[Any]:
    """For `IN`: all of these in one parameter, however many; SQLite takes only so many parameters."""
    return select(func.json_each(dumps(list(values))).table_valued("value").c.value)
