"""What an error says of the journal's disk or file, through SQLAlchemy."""

from sqlalchemy.exc import DBAPIError

from tutumstream import trouble as disk


def trouble(problem: BaseException) -> str:
    """What is wrong with the disk or the file, and what to do; "" where the error has another cause."""
    return disk.trouble(_cause(problem))


def cannot_open(problem: BaseException) -> bool:
    """Whether SQLite could not open, or make, one of its files; it does not say why, nor which."""
    return disk.cannot_open(_cause(problem))


def in_words(problem: BaseException) -> str:
    """Whatever it is, on one line; never the SQL or its values, which hold what events said."""
    return disk.in_words(_cause(problem))


def _cause(problem: BaseException) -> BaseException:
    return problem.orig if isinstance(problem, DBAPIError) and problem.orig is not None else problem
