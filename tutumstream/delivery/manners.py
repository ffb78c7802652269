"""How a destination is treated: as its owner asks for."""

from dataclasses import dataclass
from typing import Final

from tutumstream.delivery.rate import Rate

IN_MEMORY: Final = 1000
"""Rows of a backlog that are kept in memory, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How a destination is treated.

    Attributes:
        at_once: tries under way at the same time; 1 for chat.
        rate: our own limit, None for none.
        digests: whether many messages may be told as one when the rate can't carry them.
        in_memory: rows of its backlog in memory, at least so many, and a few batches; urgent ones may double it.
    """

    at_once: int = 1
    rate: Rate | None = None
    digests: bool = False
    in_memory: int = IN_MEMORY
