"""The journal's tests, and what other tests need of it.

Every journal has a SQLAlchemy engine of its own, and every engine compiles its SQL anew, for most of the time that a
short life of a journal takes. Those of one run of the tests compile it once.
"""

from typing import Any

from sqlalchemy import Connection, Engine, event

_first: dict[str, Any] = {}


@event.listens_for(Engine, "engine_connect")
def _share_what_was_compiled(connection: Connection) -> None:
    engine = connection.engine
    # Both: a statement is found again only for the dialect, as an object, that it was compiled for.
    engine.dialect = connection.dialect = _first.setdefault("dialect", engine.dialect)
    engine._compiled_cache = _first.setdefault("cache", engine._compiled_cache)
