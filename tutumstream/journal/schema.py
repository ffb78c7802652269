"""The tables, as SQL sees them. `migrations/` makes them; a test compares the two.

Everything is keyed by `seq`, given out by the one process that holds the journal: event ids may repeat, because a
stream may repeat its own uuids. Both seqs grow with time, so what is old can be cut off at one end.
"""

from typing import Final

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text, and_, text

metadata: Final = MetaData()

events: Final = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", Text, nullable=False),
    Column("received_at", Float, nullable=False),
    # How many deliveries it caused: the history needs no join, and outlives them.
    Column("caused", Integer, nullable=False),
    # JSON of the whole `Event`; columns repeat only what SQL selects by, or needs when the body can't be read.
    Column("body", Text, nullable=False),
)

deliveries: Final = Table(
    "deliveries",
    metadata,
    Column("seq", Integer, primary_key=True),
    # Indexed so that an event can be pruned without a walk over all deliveries; new rows only touch its right edge.
    Column("event_seq", Integer, ForeignKey("events.seq"), nullable=False, index=True),
    Column("ordinal", Integer, nullable=False),
    Column("destination", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ordering_key", Text, nullable=False),
    Column("incident_action", Text),
    Column("incident_key", Text),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due", Float, nullable=False, server_default="0"),
    Column("last_reason", Text, nullable=False, server_default=text("''")),
    Column("last_answer", Text, nullable=False, server_default=text("''")),
    # When it was delivered or given up; NULL while it is pending.
    Column("settled_at", Float),
    Column("urgent", Integer, nullable=False, server_default="0"),
    # Its age counts from here: the event's receipt, or when it was taken back from the dead letters.
    Column("born_at", Float, nullable=False, server_default="0"),
)

# Holds the backlog only, so reading a window of it costs the same however long the history is. With `settled_at` in
# it, though always NULL there, SQLite counts backlogs without a look at the rows.
Index(
    "pending",
    deliveries.c.destination,
    deliveries.c.seq,
    deliveries.c.settled_at,
    sqlite_where=deliveries.c.settled_at.is_(None),
)

# With `urgent` in it, though always 1 there, SQLite finds it better than `pending`, whichever was made first.
Index(
    "urgent",
    deliveries.c.destination,
    deliveries.c.urgent,
    deliveries.c.seq,
    sqlite_where=and_(deliveries.c.settled_at.is_(None), deliveries.c.urgent == 1),
)

dead_letters: Final = Table(
    "dead_letters",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("delivery_seq", Integer, ForeignKey("deliveries.seq"), nullable=False, unique=True),
    # The delivery's own, as receivers see it: here and not at the delivery, for few die and all are recorded.
    Column("id", Text, nullable=False, server_default=text("''"), index=True),
    Column("cause", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("died_at", Float, nullable=False),
)

malformed: Final = Table(
    "malformed",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("received_at", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
)

# How each destination stood, for the next start.
standings: Final = Table(
    "standings",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("since", Float, nullable=False),
    Column("until", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("told", Integer, nullable=False, server_default="0"),
)

# What was told last of each object of the platform; one row for each that there is.
states: Final = Table(
    "states",
    metadata,
    Column("uri", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("state", Text, nullable=False),
    # JSON of a list of URIs.
    Column("parents", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("health", Text, nullable=False, server_default=text("''")),
    Column("looping", Integer, nullable=False, server_default="0"),
    Column("name", Text, nullable=False, server_default=text("''")),
    Column("stack", Text, nullable=False, server_default=text("''")),
    Column("node", Text, nullable=False, server_default=text("''")),
    sqlite_with_rowid=False,
)

# One row: whose objects these are, and until when everything that became of them was told.
watches: Final = Table(
    "watches",
    metadata,
    Column("source", Text, primary_key=True),
    Column("complete_until", Float),
)

# Incidents whose trigger arrived and whose resolve did not, yet.
incidents: Final = Table(
    "incidents",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("event_type", Text, nullable=False),
    Column("opened_at", Float, nullable=False),
)

# When triggers arrived lately: an incident may flap over a restart, too.
opens: Final = Table(
    "opens",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("destination", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("at", Float, nullable=False),
)
