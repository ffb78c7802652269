"""From an answer to a verdict, as far as HTTP alone tells. Each destination puts its own dialect on top.

Four questions, in this order: did it ask us to slow down; is it in trouble; does it refuse us; does it refuse this
message.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tutumstream.net.http import Answer
from tutumstream.net.retry_after import retry_after
from tutumstream.notifiers.interface import ANSWER_LIMIT, Hold, Rejected, TryAgain, Verdict

Judge = Callable[[Answer, float], Verdict]
"""A destination's reading of an answer; the float is the time, seconds since 1970."""

_TRANSIENT = frozenset({408, 425})

_REFUSES_US = {
    401: "it does not take our credentials",
    402: "it wants to be paid",
    403: "it does not allow us in",
    404: "there is nothing at this address",
    405: "nothing can be sent to this address",
    406: "it does not take how we speak to it",
    407: "a proxy wants credentials",
    410: "this address was given up",
    # Not for this message alone: all have the same Content-Type.
    415: "it does not take how we speak to it",
    421: "this address is not served there",
    501: "nothing can be sent to this address",
}

_REFUSES_THIS = {
    400: "it does not understand the message",
    411: "it does not understand the message",
    413: "the message is too long",
    414: "the message is too long",
    422: "it does not accept the message",
}


def by_status(answer: Answer, now: float) -> Verdict:
    """The verdict on an answer that is no success.

    A redirect holds the destination: it moved, nobody is there any more, and following would send the message, and with
    it what is secret in headers and body, to whoever answers. A success that the destination should not have sent is
    tried again: it may come from something in between, and a message told twice is better than one never told.
    """
    status = answer.status
    wait = retry_after(answer.headers.get("retry-after"), now)
    said = excerpt(answer)
    if status == 429:
        return limited(answer, now)
    if (status >= 500 and status != 501) or status in _TRANSIENT:
        return TryAgain(f"it answered {status}", after=wait, limited=wait is not None, answer=said)
    if 300 <= status < 400:
        return Hold(f"it answered {status}, a redirect, which is not followed: set the new address", said)
    if status in _REFUSES_US:
        return Hold(f"it answered {status}: {_REFUSES_US[status]}", said)
    if status >= 400:
        return Rejected(f"it answered {status}: {_REFUSES_THIS.get(status, 'it refuses the message')}", said)
    return TryAgain(f"it answered {status}, but not as a success looks", answer=said)


def limited(answer: Answer, now: float, body_wait: object = None) -> TryAgain:
    """It asks us to slow down; for how long it says in `Retry-After`, or, some of them, in the body."""
    wait = retry_after(answer.headers.get("retry-after"), now)
    if wait is None and isinstance(body_wait, (int, float, str)):
        wait = retry_after(str(body_wait), now)
    return TryAgain(f"it answered {answer.status}: slow down", after=wait, limited=True, answer=excerpt(answer))


def excerpt(answer: Answer) -> str:
    """The start of what it said."""
    return answer.body[: 4 * ANSWER_LIMIT].decode("utf-8", "replace")[:ANSWER_LIMIT]


def json_object(answer: Answer) -> Mapping[str, Any]:
    """The body as a JSON object; empty where it is none."""
    try:
        found = msgspec.json.decode(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
