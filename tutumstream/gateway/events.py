"""An event on the wire, and who wants it. Pure."""

import json
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from tutumstream.gateway.dialect import TUTUM, Dialect
from tutumstream.gateway.platform import Change


def encode(change: Change, dialect: Dialect = TUTUM, uuid: str = "", at: float = 0.0) -> bytes:
    """One event as the wire has it: all five keys, in the order of the documentation's example (protocol A5), and
    `docker` behind them, which old clients pass over.

    Args:
        uuid, at: the event's own, and when it is told; Docker Cloud's clients get both.
    """
    body: dict[str, Any] = {
        "type": change.type,
        "action": change.action,
        "parents": [dialect.uri(parent) for parent in change.parents],
        "resource_uri": dialect.uri(change.resource_uri),
        "state": change.state,
    }
    if dialect.cloud:
        body["uuid"] = uuid
        body["datetime"] = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
    if change.docker is not None:
        body["docker"] = change.docker.document()
    return json.dumps(body).encode()


class Filter(NamedTuple):
    """What Docker Cloud's clients may ask for (protocol A12); Tutum's get everything. Empty means any."""

    type: str = ""
    object: str = ""
    parents: frozenset[str] = frozenset()

    def __call__(self, change: Change, dialect: Dialect) -> bool:
        return (
            self.type in ("", change.type)
            and self.object in ("", change.resource_uri, dialect.uri(change.resource_uri))
            and (not self.parents or not self.parents.isdisjoint(map(dialect.uri, change.parents)))
        )


EVERYTHING: Final = Filter()


class Told(NamedTuple):
    """A change as an event: with an id, and when it was told, seconds since 1970."""

    change: Change
    uuid: str
    at: float


def refusal(why: str) -> bytes:
    """An error in the form that the clients look for (protocol A3)."""
    return json.dumps({"type": "error", "data": {"errorMessage": why}}).encode()
