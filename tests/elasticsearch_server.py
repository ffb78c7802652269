"""Elasticsearch, as strict as its reference, as far as anybody needs it who only stores; for unit tests and processes.

    python -m tests.elasticsearch_server --port 0 [--authorization HEADER] [--limit BYTES]

prints the port it listens on (127.0.0.1), then serves:

    PUT  /_index_template/NAME                composable templates
    POST /_bulk, POST /INDEX/_bulk            action `create` only
    GET  /INDEX/_search?size=N                everything, INDEX may hold wildcards
    …    /_control/…                          as in `tests/destinations.py`
"""

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec
from twisted.internet.interfaces import IReactorTime

from tests.destinations import Checked, Destinations
from tests.elasticsearch_mapping import Index, RefusedError, check_mapping

_NAME: Final = re.compile(r'[^-_+A-Z\\/*?"<>| ,#:][^A-Z\\/*?"<>| ,#:]*')
_METADATA: Final = {"_index", "_id", "routing", "pipeline", "require_alias", "dynamic_templates"}
_TEMPLATE: Final = {"index_patterns", "template", "priority", "composed_of", "version", "_meta", "data_stream"}
_PARAMETERS: Final = {
    "_bulk": {"filter_path", "refresh", "pipeline", "timeout", "routing", "require_alias"},
    "_index_template": {"filter_path", "create", "master_timeout"},
    "_search": {"filter_path", "size"},
}


class RequestError(Exception):
    """A request that is refused as a whole."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.body = {"error": {"root_cause": [], "type": kind, "reason": reason}, "status": status}


class Elasticsearch(Destinations):
    """A cluster of one node, in memory.

    Args:
        clock, now: as `Destinations`.
        authorization: the header that is let in, "" for everybody.
        limit: `http.max_content_length`, bytes.

    Attributes:
        indices: by name.
        templates: by name, as they were put.
        trouble: by document id, how its next tries end; `None` is a success.
        auto_create: `action.auto_create_index`.
    """

    def __init__(
        self, clock: IReactorTime, now: Callable[[], float], authorization: str = "", limit: int = 100 * 1024 * 1024
    ) -> None:
        super().__init__(clock, now)
        self.indices: dict[str, Index] = {}
        self.templates: dict[str, Any] = {}
        self.trouble: dict[str, list[RefusedError | None]] = {}
        self.auto_create = True
        self.limit = limit
        self._authorization = authorization

    def documents(self, pattern: str = "*") -> list[dict[str, Any]]:
        """The documents of all indices with such names, in the order in which they came."""
        found = [index for name, index in self.indices.items() if fnmatchcase(name, pattern)]
        return [document for index in found for document in index.documents.values()]

    def check(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Checked:
        if self.due(target.partition("?")[0]).status >= 300:
            # It is told to refuse: then it must not have done it.
            return Checked(200, b"", [])
        try:
            if len(body) > self.limit:
                raise RequestError(413, "content_too_long_exception", "entity content is too long")
            if self._authorization and headers.get("authorization") != self._authorization:
                raise RequestError(401, "security_exception", "unable to authenticate with provided credentials")
            found, parameters = self._answer(method, target, headers, body)
        except RequestError as refused:
            return Checked(refused.status, msgspec.json.encode(refused.body), [str(refused)])
        if "filter_path" in parameters:
            found = _filtered(found, [one.split(".") for one in parameters["filter_path"].split(",")])
        return Checked(200, msgspec.json.encode(found), [])

    def _answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[Any, Mapping[str, str]]:
        path, _, query = target.partition("?")
        segments = [unquote(one) for one in path.strip("/").split("/")]
        parameters = dict(parse_qsl(query, keep_blank_values=True))
        match method, segments:
            case "POST", [*index, "_bulk"] if len(index) <= 1:
                _known(parameters, "_bulk")
                return self._bulk(index, headers, body), parameters
            case "PUT", ["_index_template", name]:
                _known(parameters, "_index_template")
                return self._put_template(name, headers, body), parameters
            case "GET", [index, "_search"]:
                _known(parameters, "_search")
                return self._search(index, int(parameters.get("size", "10"))), parameters
        raise RequestError(400, "illegal_argument_exception", f"no handler found for [{path}] and [{method}]")

    def _put_template(self, name: str, headers: Mapping[str, str], body: bytes) -> Any:
        _content(headers, "application/json")
        try:
            template = msgspec.json.decode(body, type=dict[str, Any])
        except ValueError:
            raise RequestError(400, "x_content_parse_exception", "not a JSON object") from None
        problems = [f"unknown field [{one}]" for one in set(template) - _TEMPLATE]
        patterns = template.get("index_patterns")
        if not isinstance(patterns, list) or not patterns or not all(isinstance(one, str) for one in patterns):
            problems.append("index patterns are missing")
        if name != name.lower() or name.startswith("_") or re.search(r"[\s,#*]", name):
            problems.append(f"invalid name [{name}]")
        check_mapping(template.get("template", {}).get("mappings", {}), problems)
        others = [one for key, one in self.templates.items() if key != name]
        problems += [
            f"has index patterns {patterns} matching patterns from existing templates with the same priority"
            for other in others
            if not problems and other.get("priority", 0) == template.get("priority", 0) and _overlap(other, template)
        ]
        if problems:
            raise RequestError(400, "illegal_argument_exception", "; ".join(problems))
        self.templates[name] = template
        return {"acknowledged": True}

    def _bulk(self, path_index: list[str], headers: Mapping[str, str], body: bytes) -> Any:
        _content(headers, "application/x-ndjson", "application/json")
        if not body.endswith(b"\n"):
            raise RequestError(
                400, "illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]"
            )
        # All of it is read before anything is done.
        wanted = [(_action(first, path_index), second) for first, second in _pairs(body)]
        items = [{"create": self._create(index, identity, source)} for (index, identity), source in wanted]
        return {"took": 3, "errors": any("error" in one["create"] for one in items), "items": items}

    def _create(self, index: str, identity: str, source: bytes) -> dict[str, Any]:
        head = {"_index": index, "_id": identity}
        try:
            queue = self.trouble.get(identity, [])
            trouble = queue.pop(0) if queue else None
            if trouble is not None:
                raise trouble
            try:
                document = msgspec.json.decode(source)
            except ValueError:
                raise RefusedError("document_parsing_exception", "failed to parse: not JSON") from None
            self._index(index).create(identity, document)
        except RefusedError as refused:
            return {**head, "status": refused.status, "error": {**refused.error, "index": index}}
        shards = {"total": 2, "successful": 1, "failed": 0}
        return {**head, "_version": 1, "result": "created", "_shards": shards, "_seq_no": 0, "status": 201}

    def _index(self, name: str) -> Index:
        if name not in self.indices:
            if not _NAME.fullmatch(name) or len(name.encode()) > 255 or name in (".", ".."):
                raise RefusedError("invalid_index_name_exception", f"Invalid index name [{name}]")
            if not self.auto_create:
                raise RefusedError("index_not_found_exception", f"no such index [{name}]", 404)
            fitting = [
                one for one in self.templates.values() if any(fnmatchcase(name, p) for p in one["index_patterns"])
            ]
            chosen: Any = max(fitting, key=lambda one: one.get("priority", 0), default={})
            self.indices[name] = Index(chosen.get("template", {}).get("mappings", {}))
        return self.indices[name]

    def _search(self, pattern: str, size: int) -> Any:
        if size > 10_000:
            raise RequestError(400, "illegal_argument_exception", "Result window is too large")
        hits = [
            {"_index": name, "_id": identity, "_score": 1.0, "_source": document}
            for name, index in self.indices.items()
            if fnmatchcase(name, pattern)
            for identity, document in index.documents.items()
        ]
        return {"hits": {"total": {"value": len(hits), "relation": "eq"}, "hits": hits[:size]}}


def _pairs(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    lines = body[:-1].split(b"\n")
    if lines == [b""]:
        raise RequestError(400, "action_request_validation_exception", "Validation Failed: 1: no requests added;")
    if len(lines) % 2:
        raise RequestError(400, "illegal_argument_exception", "an action without its document")
    return zip(lines[::2], lines[1::2], strict=True)


def _action(line: bytes, path_index: list[str]) -> tuple[str, str]:
    malformed = RequestError(400, "illegal_argument_exception", f"Malformed action/metadata line: {line[:60]!r}")
    try:
        action = msgspec.json.decode(line)
    except ValueError:
        raise malformed from None
    if not isinstance(action, dict) or list(action) != ["create"] or not isinstance(action["create"], dict):
        raise malformed
    metadata = action["create"]
    if unknown := set(metadata) - _METADATA:
        raise RequestError(400, "illegal_argument_exception", f"unknown parameter {sorted(unknown)}")
    index, identity = metadata.get("_index", "".join(path_index)), metadata.get("_id")
    if not index:
        raise RequestError(400, "action_request_validation_exception", "Validation Failed: 1: index is missing;")
    if not isinstance(identity, str) or not identity:
        raise RequestError(400, "illegal_argument_exception", "if _id is specified it must not be empty")
    if len(identity.encode()) > 512:
        raise RequestError(
            400,
            "action_request_validation_exception",
            f"Validation Failed: 1: id [{identity}] is too long, must be no longer than 512 bytes;",
        )
    return index, identity


def _known(parameters: Mapping[str, str], name: str) -> None:
    if unknown := set(parameters) - _PARAMETERS[name]:
        reason = f"request [/{name}] contains unrecognized parameter: {sorted(unknown)}"
        raise RequestError(400, "illegal_argument_exception", reason)


def _content(headers: Mapping[str, str], *types: str) -> None:
    given = headers.get("content-type", "").partition(";")[0].strip()
    if given not in types:
        raise RequestError(406, "media_type_header_exception", f"Content-Type header [{given}] is not supported")


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a name can match both; exact enough for stars at the end."""
    pairs = [(a, b) for a in one["index_patterns"] for b in other["index_patterns"]]
    return any(fnmatchcase(a.replace("*", "x"), b) or fnmatchcase(b.replace("*", "x"), a) for a, b in pairs)


_NOTHING: Final = object()


def _filtered(value: Any, paths: list[list[str]]) -> Any:
    """Response filtering, by paths with stars; lists are looked through, and what is empty then is left out."""
    found = _kept(value, paths)
    return {} if found is _NOTHING else found


def _kept(value: Any, paths: list[list[str]]) -> Any:
    if any(not path for path in paths):
        return value
    if isinstance(value, list):
        return [kept for one in value if (kept := _kept(one, paths)) is not _NOTHING] or _NOTHING
    if not isinstance(value, dict):
        return _NOTHING
    deeper = {key: [path[1:] for path in paths if fnmatchcase(key, path[0])] for key in value}
    found = {key: _kept(value[key], below) for key, below in deeper.items() if below}
    return {key: kept for key, kept in found.items() if kept is not _NOTHING} or _NOTHING


def main(arguments: list[str]) -> None:
    """Serve until the process is ended."""
    from twisted.internet import reactor

    options = argparse.ArgumentParser(prog="python -m tests.elasticsearch_server")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--authorization", default="")
    options.add_argument("--limit", type=int, default=100 * 1024 * 1024)
    chosen = options.parse_args(arguments)
    running: Any = reactor
    served = Elasticsearch(running, time.time, chosen.authorization, chosen.limit)
    port = running.listenTCP(chosen.port, served.site(), interface="127.0.0.1")
    sys.stdout.write(f"{port.getHost().port}\n")
    sys.stdout.flush()
    running.run()


if __name__ == "__main__":
    main(sys.argv[1:])
