"""`Retry-After` (RFC 9110, 10.2.3), and what servers make of it."""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import isfinite

_SECONDS = re.compile(r"[+-]?\d+(?:\.\d*)?")


def retry_after(value: str | None, now: float) -> float | None:
    """How many seconds a server asked us to wait.

    Takes whole and decimal seconds and all three forms of an HTTP date. Never less than asked for: who goes on sending
    sooner may be switched off for good (Slack says so of its apps).

    Args:
        value: the header's, None where there is none.
        now: seconds since 1970.

    Returns:
        0.0 for what is negative or past; None for what can't be understood.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
        return max(0.0, seconds) if isfinite(seconds) else None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    # The form of C's asctime names no zone: it is GMT, as in all HTTP dates.
    at = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, at.timestamp() - now)
