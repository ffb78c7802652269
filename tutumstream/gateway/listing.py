"""The REST API's lists: which objects a query asks for, and the page of them that is shown. Pure.

Filters, envelope and paging are those of protocol B2. A filter that a collection does not have is ignored, as clients
expect; a number that is none is a mistake of the caller's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from tutumstream.errors import TutumstreamError
from tutumstream.gateway.platform import KINDS, Resource

DEFAULT_LIMIT: Final = 25
LIMIT_CAP: Final = 100

COLLECTIONS: Final = (
    *KINDS,
    "volume",
    "volumegroup",
    "provider",
    "region",
    "nodetype",
    "az",
    "tag",
    "image",
    "registry",
    "repository",
)
"""The collections of Tutum's REST API (protocol B4). Where the platform knows nothing of one, it is empty."""

NAMED: Final = frozenset({"provider", "region", "nodetype", "az", "image", "registry", "tag", "repository"})
"""The collections whose objects have a name instead of a uuid, possibly of several parts."""

FILTERS: Final[Mapping[str, frozenset[str]]] = {
    "stack": frozenset({"uuid", "uuid__startswith", "name", "state"}),
    "service": frozenset({"uuid", "uuid__startswith", "name", "state", "stack", "stack__name"}),
    "container": frozenset(
        {"uuid", "uuid__startswith", "name", "state", "node", "service", "service__name", "service__stack__name"}
    ),
    "nodecluster": frozenset({"uuid", "uuid__startswith", "name", "state", "region", "node_type"}),
    "node": frozenset({"uuid", "uuid__startswith", "state", "node_cluster", "node_type", "region", "docker_version"}),
    "action": frozenset({"uuid", "uuid__startswith", "state", "object"}),
    "region": frozenset({"provider"}),
}

Parameters = Mapping[str, str]
Find = Callable[[str], Resource | None]
"""An object by its resource URI."""


class BadNumberError(TutumstreamError):
    """`limit` or `offset` is no number."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"{self.name} must be a number that is not negative"


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """What a list says of itself. `next` and `previous` are paths: go-tutum cuts `/api/v1/` off (protocol B2)."""

    limit: int
    next: str | None
    offset: int
    previous: str | None
    total_count: int


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The list envelope."""

    meta: Meta
    objects: Sequence[Mapping[str, Any]]


def page(kind: str, resources: Sequence[Resource], query: Parameters, find: Find, place: str = "") -> Page:
    """The page of a collection that a query asks for; raises `BadNumberError`.

    Args:
        place: the collection's path, Tutum's own by default.
    """
    filters = {name: query[name] for name in sorted(FILTERS.get(kind, frozenset()) & query.keys())}
    limit = min(_number(query, "limit", DEFAULT_LIMIT) or LIMIT_CAP, LIMIT_CAP)
    offset = _number(query, "offset", 0)
    matching = [one for one in resources if all(_matches(one, name, wanted, find) for name, wanted in filters.items())]

    if "name" in filters:
        # Whoever goes by a name means the one that lives, not what had it before: the SDKs refuse to choose.
        matching = [one for one in matching if one.get("state") != "Terminated"] or matching

    def path(start: int) -> str:
        return f"{place or f'/api/v1/{kind}/'}?" + urlencode({"limit": limit, "offset": start} | filters)

    return Page(
        meta=Meta(
            limit=limit,
            next=path(offset + limit) if offset + limit < len(matching) else None,
            offset=offset,
            previous=path(max(0, offset - limit)) if offset else None,
            total_count=len(matching),
        ),
        objects=matching[offset : offset + limit],
    )


def _number(query: Parameters, name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    # isdigit alone would take digits of other scripts and powers; ten digits are more than any list has.
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise BadNumberError(name)
    return int(text)


def _matches(resource: Resource, name: str, wanted: str, find: Find) -> bool:
    if name == "uuid__startswith":
        return str(resource["uuid"]).startswith(wanted)
    *parents, last = name.split("__")
    one: Resource | None = resource
    for parent in parents:
        uri = one.get(parent) if one is not None else None
        one = find(uri) if isinstance(uri, str) else None
    if one is None:
        return False
    value = one.get(last)
    # Parents are asked for by URI, or by uuid alone.
    return value == wanted or (isinstance(value, str) and value.startswith("/") and value.split("/")[-2:-1] == [wanted])
