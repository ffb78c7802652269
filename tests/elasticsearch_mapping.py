"""One index of the strict Elasticsearch: its documents, and the mapping that they must fit."""

import re
from copy import deepcopy
from typing import Any, Final

FIELD_LIMIT: Final = 1000
"""`index.mapping.total_fields.limit`."""

TERM_BYTES: Final = 32_766
"""Lucene's longest term."""

TYPES: Final = {"keyword", "text", "date", "long", "float", "boolean", "object"}

_ISO = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?")

_FORMS: Final = {
    "date": _ISO,
    "long": re.compile(r"-?\d{1,18}"),
    "float": re.compile(r"-?[\d.eE+-]+"),
    "boolean": re.compile("True|False|true|false"),
}
"""How values of a type look as text; of other types every value is taken."""


class RefusedError(Exception):
    """A document that is not taken: status, type and reason, as the answer tells them."""

    def __init__(self, kind: str, reason: str, status: int = 400) -> None:
        super().__init__(kind, reason)
        self.status = status
        self.error = {"type": kind, "reason": reason}


def check_mapping(mappings: Any, problems: list[str], path: str = "") -> None:
    """What no server takes as a mapping."""
    if not isinstance(mappings, dict):
        problems.append(f"the mapping of [{path}] is no object")
        return
    if unknown := set(mappings) - {"dynamic", "properties", "type", "enabled", "ignore_above"}:
        problems.append(f"unknown parameter {sorted(unknown)} on mapper [{path}]")
    kind = mappings.get("type", "object")
    if kind not in TYPES:
        problems.append(f"No handler for type [{kind}] declared on field [{path}]")
    if "ignore_above" in mappings and kind != "keyword":
        problems.append(f"ignore_above on a {kind} [{path}]")
    for name, field in mappings.get("properties", {}).items():
        check_mapping(field, problems, f"{path}.{name}".lstrip("."))


class Index:
    """Documents by id, each taken wholly or not at all."""

    def __init__(self, mappings: dict[str, Any]) -> None:
        self.documents: dict[str, Any] = {}
        self.mappings = deepcopy(mappings)

    def create(self, identity: str, document: Any) -> None:
        """Add a document; `RefusedError` where its id is taken or where it does not fit."""
        if identity in self.documents:
            raise RefusedError(
                "version_conflict_engine_exception",
                f"[{identity}]: version conflict, document already exists (current version [1])",
                409,
            )
        added: Added = []
        try:
            _fit(self.mappings, document, "", self.mappings.get("dynamic", True), added)
            if added and _fields(self.mappings) > FIELD_LIMIT:
                raise RefusedError(
                    "illegal_argument_exception", f"Limit of total fields [{FIELD_LIMIT}] has been exceeded"
                )
        except RefusedError:
            for properties, name in added:
                del properties[name]
            raise
        self.documents[identity] = document


def _fields(mapping: dict[str, Any]) -> int:
    return sum(1 + _fields(one) for one in mapping.get("properties", {}).values())


Added = list[tuple[dict[str, Any], str]]
"""Fields that a document brought with it: whose they are, and their name."""


def _fit(mapping: dict[str, Any], document: Any, path: str, dynamic: Any, added: Added) -> None:
    if not isinstance(document, dict):
        raise _parsing(f"object mapping for [{path}] tried to parse field [{path}] as object, but found a value")
    for name, value in document.items():
        if not name.strip() or not all(name.split(".")):
            raise RefusedError("illegal_argument_exception", f"field name cannot be an empty string: [{name}]")
        here = f"{path}.{name}".lstrip(".")
        properties = mapping.setdefault("properties", {})
        for one in value if isinstance(value, list) else [value]:
            if one is None:
                continue
            if name not in properties:
                if dynamic is False:
                    continue
                properties[name] = _inferred(one)
                added.append((properties, name))
            _take(properties[name], one, here, dynamic, added)


def _inferred(value: Any) -> dict[str, Any]:
    """Dynamic mapping, with its date detection."""
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, (int, float)):
        return {"type": "long" if isinstance(value, int) else "float"}
    if isinstance(value, str):
        return {"type": "date" if _ISO.fullmatch(value) else "text"}
    return {"properties": {}}


def _take(field: dict[str, Any], value: Any, path: str, dynamic: Any, added: Added) -> None:
    kind = field.get("type", "object")
    if kind == "object":
        if field.get("enabled", True):
            _fit(field, value, path, field.get("dynamic", dynamic), added)
        return
    if isinstance(value, (dict, list)):
        raise _parsing(f"failed to parse field [{path}] of type [{kind}]: it is an object")
    text = str(value)
    if kind == "keyword" and len(text) <= field.get("ignore_above", 2**31) and len(text.encode()) > TERM_BYTES:
        raise RefusedError(
            "illegal_argument_exception", f'Document contains at least one immense term in field="{path}"'
        )
    form = _FORMS.get(kind)
    if form is not None and not form.fullmatch(text) and not (kind == "date" and isinstance(value, int)):
        raise _parsing(f"failed to parse field [{path}] of type [{kind}]")


def _parsing(reason: str) -> RefusedError:
    return RefusedError("document_parsing_exception", reason)
