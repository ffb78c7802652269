"""How a destination is treated: as its owner asks for."""

from dataclasses import dataclass

from tutumstream.delivery.rate import Rate


@dataclass(frozen=True, slots=True)
class Manners:
    """How a destination is treated.

    Attributes:
        at_once: tries under way at the same time; 1 for chat.
        rate: our own limit, None for none.
        digests: whether many messages may be told as one when the rate can't carry them.
    """

    at_once: int = 1
    rate: Rate | None = None
    digests: bool = False
