"""How a destination is treated: as its owner asks for."""

from dataclasses import dataclass
from typing import Final

from tutumstream.delivery.rate import Rate

IN_MEMORY: Final = 1000
"""Rows of a backlog that are kept in memory, where nothing else is said."""

UNWRITTEN: Final = 2000
"""Rows that were told and are not on disk yet, where nothing else is said. At 20,000 a second and 20 ms a transaction,
a fifth of it is in use; while the disk refuses, all of it."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How a destination is treated.

    Attributes:
        at_once: tries under way at the same time; 1 for chat.
        rate: our own limit, None for none.
        digests: whether many messages may be told as one when the rate can't carry them.
        in_memory: rows of its backlog in memory, at least so many, and a few batches; urgent ones may double it.
        unwritten: rows that were told and are not on disk yet, at most: so many would a kill repeat.
    """

    at_once: int = 1
    rate: Rate | None = None
    digests: bool = False
    in_memory: int = IN_MEMORY
    unwritten: int = UNWRITTEN
