"""Bodies and answers of `_bulk`, Elasticsearch's and OpenSearch's way to take many documents at once. Pure.

Each document is a line with the action and a line with its source. The answer to a request that was understood is 200,
whatever became of the documents: each has a result of its own, in the order of the request.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from tutumstream.net.http import Answer
from tutumstream.notifiers.answers import by_status, excerpt, json_object
from tutumstream.notifiers.interface import ANSWER_LIMIT, Delivered, Hold, Rejected, TryAgain, Verdict

PATH: Final = "/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason"
"""The answer is cut to what is read here: by default it is longer than the documents."""

CONTENT_TYPE: Final = "application/x-ndjson"

ID_BYTES: Final = 512
"""How long a document's id may be; one that is longer refuses the whole request."""

DELIVERED: Final = Delivered()

_CUT = re.compile(rb'\{[^\[]{0,200}"items"\s*:\s*\[')
"""How an answer begins that was cut off in its items."""

_STATUS = re.compile(rb'"status"\s*:\s*(\d{3})\b(?:\s*,\s*"error"\s*:\s*\{\s*"type"\s*:\s*"(\w+)")?')
"""An item's status, and its error's type; in a text of the document's own the quotes would be escaped."""

_CONFLICT = "version_conflict_engine_exception"

# Errors that come as 400 and say nothing against the document: it must wait until somebody has mended the index.
_OF_THE_INDEX = frozenset({"index_closed_exception", "invalid_index_name_exception", "invalid_alias_name_exception"})

# The limit of shards comes as illegal_argument_exception or validation_exception, by version; clients that took it for
# the document's fault lost a day's data when the day's index could not be created (elastic/elasticsearch#70349). So
# comes that the index's own ingest pipeline is gone.
_OF_THE_CLUSTER = ("Validation Failed", "no write index is defined for alias", "pipeline with id [")

_SENTENCE: Final = 200
"""Characters of what Elasticsearch says is wrong with an index; its type alone says little."""


def identity(event_id: str) -> str:
    """The document's id: the event's own, or, where that is too long, its SHA-256: the same for the same, always."""
    raw = event_id.encode("utf-8", "replace")
    return event_id if len(raw) <= ID_BYTES else hashlib.sha256(raw).hexdigest()


def entry(index: str, event_id: str, source: bytes) -> bytes:
    """Two lines that create one document; where its id is taken already, nothing changes.

    Args:
        source: a JSON object on one line.
    """
    action = {"create": {"_index": index, "_id": identity(event_id)}}
    return msgspec.json.encode(action) + b"\n" + source + b"\n"


def grouped(entries: Sequence[bytes], limit: int) -> Iterator[list[bytes]]:
    """Entries in groups of at most `limit` bytes, in order; one that is longer is a group of its own."""
    group: list[bytes] = []
    size = 0
    for one in entries:
        if group and size + len(one) > limit:
            yield group
            group, size = [], 0
        group.append(one)
        size += len(one)
    if group:
        yield group


def judge(answer: Answer, count: int, now: float) -> list[Verdict] | Verdict:
    """What became of the documents of one request.

    Args:
        count: how many they were.
        now: seconds since 1970.

    Returns:
        A verdict for each, or one on the request as a whole: `Rejected` where each half of it may fare better.
    """
    if answer.status != 200:
        return of_request(answer, now)
    found = json_object(answer)
    items = found.get("items")
    if not isinstance(items, list) and not answer.whole and (cut := _CUT.match(answer.body)):
        too_long = Rejected("its answer is too long to be read", excerpt(answer))
        return too_long if count > 1 else [_judge_cut(answer, cut.end())]
    if not isinstance(items, list) or len(items) > count:
        return by_status(answer, now)
    if found.get("errors") is False and len(items) == count:
        return [DELIVERED] * count
    missing = TryAgain("it answered 200, but not for this document", answer=excerpt(answer))
    return [_judge_item(items[n]) if n < len(items) else missing for n in range(count)]


def of_request(answer: Answer, now: float) -> Verdict:
    """The verdict on an answer to a request as a whole; `now` is in seconds since 1970."""
    if is_blocked(answer):
        return Hold(f"it answered {answer.status}: the cluster is blocked", excerpt(answer))
    return by_status(answer, now)


def is_blocked(answer: Answer) -> bool:
    """Whether its 403 is no matter of rights: the cluster or the index is read-only until somebody, or room, mends it.

    Other blocks, of a cluster that only just starts or of a full disk, come as 503 and 429, which say it themselves.
    """
    return answer.status == 403 and b"cluster_block_exception" in answer.body


def _judge_item(item: object) -> Verdict:
    result = next(iter(item.values())) if isinstance(item, dict) and len(item) == 1 else None
    status = result.get("status") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(status, int):
        return TryAgain("it answered 200, but not for this document", answer=_shown(item))
    kind, reason = _error(result)
    return _verdict(status, kind, reason, f"{kind}: {reason}"[:ANSWER_LIMIT] if kind or reason else _shown(item))


def _verdict(status: int, kind: str, reason: str, said: str) -> Verdict:
    if 200 <= status < 300:
        return DELIVERED
    words = f"it answered {status} for the document: {kind or 'no reason'}"
    if status == 409 and kind in (_CONFLICT, ""):
        # The id is ours, so the document is too: it arrived at an earlier try.
        return DELIVERED
    if status == 429:
        return TryAgain(words, limited=True, answer=said)
    if kind in _OF_THE_INDEX or (status == 400 and reason.startswith(_OF_THE_CLUSTER)):
        return Hold(": ".join(filter(None, (words, " ".join(reason.split())[:_SENTENCE]))), said)
    if status in (401, 403, 404):
        return Hold(words, said)
    if 400 <= status < 500 and status not in (408, 409, 425):
        return Rejected(words, said)
    return TryAgain(words, answer=said)


def _judge_cut(answer: Answer, start: int) -> Verdict:
    """The verdict on one document by the start of its result: status and type come before the reason."""
    found = _STATUS.search(answer.body, start)
    if found is None:
        return TryAgain("its answer is too long to be read", answer=excerpt(answer))
    status, kind = found.groups(default=b"")
    return _verdict(int(status), kind.decode(), "", excerpt(answer))


def _error(result: Mapping[str, Any]) -> tuple[str, str]:
    """Type and reason; an error in one text, as proxies and very old servers have it, is all reason."""
    error = result.get("error")
    if isinstance(error, dict):
        kind, reason = error.get("type"), error.get("reason")
        return kind if isinstance(kind, str) else "", reason if isinstance(reason, str) else ""
    return "", error if isinstance(error, str) else ""


def _shown(item: object) -> str:
    return msgspec.json.encode(item).decode("utf-8", "replace")[:ANSWER_LIMIT]
