"""An event as a document, and the mapping that takes every document that can come. Pure.

What comes from outside changes its shape as it likes, and a field that was a number once refuses every text after it.
So only the fields named here are indexed, all of types that any text fits, and a resource is kept without being looked
into.
"""

from typing import Any, Final

import msgspec

from tutumstream.event import PARENT_TYPES
from tutumstream.notifiers.document import document
from tutumstream.notifiers.elasticsearch_index import IndexName
from tutumstream.notifiers.interface import Message

# A keyword above 32,766 bytes (Lucene's longest term) would refuse the whole document; this many characters always fit.
_KEYWORD: Final = {"type": "keyword", "ignore_above": 8191}
_DATE: Final = {"type": "date"}
_FLAG: Final = {"type": "boolean"}
_NUMBER: Final = {"type": "long"}

MAPPINGS: Final[dict[str, Any]] = {
    "dynamic": False,
    "properties": {
        "@timestamp": _DATE,
        "received_at": _DATE,
        **dict.fromkeys(("id", "type", "action", "state", "resource_uri", "parents", "uuid", "datetime"), _KEYWORD),
        "message": {"type": "text"},
        "synthetic": {"type": "boolean"},
        "missed_from": _DATE,
        "missed_to": _DATE,
        "parent": {"properties": dict.fromkeys(PARENT_TYPES, _KEYWORD)},
        "name": _KEYWORD,
        "docker": {
            "properties": {
                **dict.fromkeys(("event", "name", "service", "stack", "node", "slot", "health", "time"), _KEYWORD),
                **dict.fromkeys(("expected", "news", "oom_killed", "restarting", "given_up", "looping"), _FLAG),
                # What is read from the wire as a flag or a number is one, and not too large.
                **dict.fromkeys(("exit_code", "restart_count", "crashes", "within", "ran"), _NUMBER),
                "error": {"type": "text"},
            }
        },
        "resource": {"type": "object", "enabled": False},
    },
}

_PRIORITY = 200
"""Above the built-in templates (100)."""

_PRIVATE = frozenset({"container_envvars", "calculated_envvars", "link_variables"})
"""Fields of a resource that are left out: environments hold passwords, and an index has many readers."""


def source(message: Message, *, resource: bool = True) -> bytes:
    """The document: the event as every destination gets it, `@timestamp`, and its parents by type.

    Args:
        resource: with the event's own object, if it could be looked up, without its environment; and with the object's
            name, to search by.
    """
    found = document(message.event)
    found["@timestamp"] = found["received_at"]
    if message.event.parents:
        found["parent"] = message.event.parents_by_type()
    known = message.resources.get("resource") if resource else None
    if known is not None:
        found["resource"] = {name: value for name, value in known.items() if name not in _PRIVATE}
        # Nodes have no name, only a nickname.
        name = known.get("name", known.get("nickname"))
        if isinstance(name, str):
            found["name"] = name
    return msgspec.json.encode(found)


def template(index: IndexName) -> bytes:
    """A body for `PUT /_index_template/…` (Elasticsearch 7.8 and later, OpenSearch).

    The priority grows with the name's length: two templates may match the same index, and then the closer one counts.
    Of the same priority, the server would refuse the second.
    """
    return msgspec.json.encode(
        {
            "index_patterns": index.wildcards,
            "priority": _PRIORITY + len(index.stem),
            "template": {"mappings": MAPPINGS},
        }
    )


def template_name(index: IndexName) -> str:
    """One template for each kind of index: others in the same cluster keep theirs."""
    return f"tutumstream-{index.stem}"
