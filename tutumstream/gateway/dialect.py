"""Tutum's names for things, and those that its successor Docker Cloud gave to the same (protocol A12). Pure.

Everything inside speaks Tutum's form; what goes out to a Docker Cloud client is translated, what comes in too.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

_API_OF: Final[Mapping[str, str]] = {
    **dict.fromkeys(("stack", "service", "container"), "app"),
    **dict.fromkeys(("node", "nodecluster", "provider", "region", "nodetype", "az"), "infra"),
    "action": "audit",
    "repository": "repo",
}
_NAMESPACED: Final = frozenset({"stack", "service", "container", "node", "nodecluster", "repository"})
_URI: Final = re.compile(r"/api/v1/([a-z]+)/([^\s/]+(?:/[^\s/]+)*)/")
_NAMESPACE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

STREAMS: Final = frozenset({"events", "logs", "exec"})

FREE_TEXT: Final = frozenset({"labels", "run_command", "entrypoint", "body", "exit_code_msg", "error"})
"""Keys under which containers say what they like: nothing there is one of our URIs, whatever it looks like."""


class Dialect(msgspec.Struct, frozen=True):
    """How a client speaks.

    Attributes:
        cloud: Docker Cloud's way.
        namespace: the organisation in its URLs, "" for none.
    """

    cloud: bool = False
    namespace: str = ""

    @property
    def action_header(self) -> bytes:
        """The header that names the action of a change."""
        return b"x-dockercloud-action-uri" if self.cloud else b"x-tutum-action-uri"

    def uri(self, uri: str) -> str:
        """A resource URI of ours as this client knows it."""
        found = _URI.fullmatch(uri) if self.cloud else None
        if found is None:
            return uri
        kind, key = found.groups()
        return f"{self.collection(kind)}{key}/"

    def collection(self, kind: str) -> str:
        """The path of a collection."""
        if not self.cloud:
            return f"/api/v1/{kind}/"
        namespace = f"{self.namespace}/" if self.namespace and kind in _NAMESPACED else ""
        return f"/api/{_API_OF.get(kind, 'app')}/v1/{namespace}{kind}/"

    def resource(self, value: Any) -> Any:
        """An object, or a part of one, with all its URIs translated."""
        if not self.cloud:
            return value
        if isinstance(value, str):
            return self.uri(value)
        if isinstance(value, Mapping):
            return {key: part if key in FREE_TEXT else self.resource(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.resource(part) for part in value]
        return value


TUTUM: Final = Dialect()


class Wanted(msgspec.Struct, frozen=True):
    """What a path asks for.

    Attributes:
        kind: the collection, or `events`.
        key: the object's uuid or name, "" for the collection itself.
        rest: what follows the uuid: `logs`, `start`, …
    """

    dialect: Dialect
    kind: str
    key: str = ""
    rest: str = ""


def segments(path: bytes) -> list[bytes]:
    """A path's parts. A last slash and doubled ones mean nothing (protocol A1)."""
    return [segment for segment in path.partition(b"?")[0].split(b"/") if segment]


def is_tutum_stream(path: Sequence[bytes]) -> bool:
    """Whether this is a path of Tutum's Stream API."""
    return path[:1] == [b"v1"]


def wanted(path: Sequence[str], named: frozenset[str]) -> Wanted | None:
    """What the path of a request asks for, None where nothing is there.

    Args:
        path: its parts, those that are empty left out.
        named: collections whose objects have names, possibly of several parts, instead of uuids.
    """
    dialect, rest = TUTUM, list(path)
    if rest[:1] == ["v1"]:
        rest = rest[1:]
    elif rest[:2] == ["api", "v1"]:
        rest = rest[2:]
    elif len(rest) > 3 and rest[0] == "api" and rest[2] == "v1" and rest[1] in ("app", "infra", "audit", "repo"):
        api, rest = rest[1], rest[3:]
        dialect = Dialect(cloud=True)
        if not _is_of(api, rest[0]) and len(rest) > 1 and _NAMESPACE.fullmatch(rest[0]):
            dialect, rest = Dialect(cloud=True, namespace=rest[0]), rest[1:]
        if not _is_of(api, rest[0]):
            return None
    if not rest or rest == list(path):
        return None
    kind, *key = rest
    if kind in named or len(key) < 2:
        return Wanted(dialect, kind, "/".join(key))
    return Wanted(dialect, kind, key[0], "/".join(key[1:]))


def _is_of(api: str, kind: str) -> bool:
    return _API_OF.get(kind) == api or (api, kind) == ("audit", "events")
