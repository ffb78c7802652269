"""What of an object is not shown, because people put secrets where they don't belong. Pure.

Environment variables are shown to nobody anyway; labels and command lines are, unless the operator wants it otherwise.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tutumstream.gateway.platform import Resource

_COMMANDS: Final = ("run_command", "entrypoint")


class Concealment(msgspec.Struct, frozen=True):
    """What to leave out.

    Attributes:
        labels: those whose name this is found in; None for none.
        commands: command lines.
    """

    labels: re.Pattern[str] | None = None
    commands: bool = False

    def __call__(self, resource: Resource) -> Resource:
        """The object without it. The keys stay: clients count on them."""
        hidden: dict[str, Any] = {}
        labels = resource.get("labels")
        if self.labels is not None and isinstance(labels, Mapping):
            hidden["labels"] = {name: value for name, value in labels.items() if not self.labels.search(name)}
        if self.commands:
            hidden.update({name: "" for name in _COMMANDS if name in resource})
        return {**resource, **hidden} if hidden else resource


NOTHING: Final = Concealment()
