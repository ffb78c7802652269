"""Run by Alembic: brings the journal that it is handed, on an open connection, from one revision to another.

There is no `alembic.ini`: `tutumstream.journal.upgrade` calls this at every start. A new revision is a new file in
`versions/`, written by hand; `tests/journal/test_upgrade.py` tells where it and `schema.py` differ.
"""

from alembic import context

from tutumstream.journal.schema import metadata

# SQLite can roll back changes of tables, so an upgrade that is cut short leaves the journal as it was.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)

with context.begin_transaction():
    context.run_migrations()
