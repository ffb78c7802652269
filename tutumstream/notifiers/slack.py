"""Slack, by an incoming webhook (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).

The webhook's URL is the secret. Slack has nothing by which to tell a repeat: after a connection that broke at the wrong
moment a message may be shown twice.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from twisted.internet.defer import Deferred
from zope.interface import implementer

from tutumstream.net.http import Answer, Exchanges
from tutumstream.notifiers.answers import by_status, excerpt, json_object, limited
from tutumstream.notifiers.interface import Delivered, Hold, INotifier, Message, Rejected, TryAgain, Verdict
from tutumstream.notifiers.post import Post
from tutumstream.notifiers.text import clean, cut

TEXT_LIMIT: Final = 40_000
"""Characters; Slack cuts longer ones itself, and may do so inside an entity."""

DEFAULT_TEXT: Final = "You received a message from Tutum Stream!"

# Slack's error names. They come as plain text with a status, or, from its web API and from servers that imitate it, in
# a JSON object with 200. Which status each of them has is not documented for all, so the name decides.
_LIMITED = frozenset({"ratelimited", "rate_limited"})
_TRANSIENT = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "rollup_error", "timeout"}
)
_REFUSES_US = frozenset(
    {
        "account_inactive",
        "action_prohibited",
        "channel_is_archived",
        "channel_not_found",
        "invalid_auth",
        "invalid_token",
        "is_archived",
        "message_limit_exceeded",
        "missing_scope",
        "no_active_hooks",
        "no_service",
        "no_team",
        "not_authed",
        "not_in_channel",
        "posting_to_general_channel_denied",
        "team_disabled",
        "token_expired",
        "token_revoked",
    }
)


@implementer(INotifier)
class SlackNotifier:
    """Posts each message's text to one webhook.

    Args:
        http: how to speak.
        url: the incoming webhook.
        now: seconds since 1970.

    Raises:
        ValueError: `url` is no http or https URL.
    """

    batch = 1
    linger = 0.0
    textual = True
    needs: frozenset[str] = frozenset()

    def __init__(self, http: Exchanges, url: str, now: Callable[[], float]) -> None:
        self._post = Post(http, url, judge, now)

    def __repr__(self) -> str:
        return f"<Slack at {self._post.origin}>"

    def escape(self, text: str) -> str:
        """Slack's three control characters (docs.slack.dev/messaging/formatting-message-text)."""
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    def notify(self, messages: Sequence[Message]) -> Deferred[list[Verdict]]:
        """One POST a message, one after the other."""
        return Deferred.fromCoroutine(self._notify(messages))

    async def _notify(self, messages: Sequence[Message]) -> list[Verdict]:
        return [verdict for message in messages for verdict in await self._post.send(body(message.text))]


def body(text: str) -> bytes:
    """What Slack is sent: the text, cut to its limit, and nothing else."""
    shown = clean(text)
    return msgspec.json.encode({"text": cut(shown, TEXT_LIMIT) if shown.strip() else DEFAULT_TEXT})


def judge(answer: Answer, now: float) -> Verdict:
    """Slack's dialect: 200 with the text `ok` is the success, a name in plain text or JSON says what was wrong."""
    said = json_object(answer)
    if answer.status == 200:
        if answer.body.strip() == b"ok" or said.get("ok") is True:
            return Delivered()
        if said.get("ok") is False:
            return _by_name(str(said.get("error", "")), answer, now)
    name = str(said.get("error") or excerpt(answer)).strip()
    if answer.status == 429:
        return limited(answer, now, said.get("retry_after"))
    if answer.status == 400 and name in _REFUSES_US:
        return _by_name(name, answer, now)
    return by_status(answer, now)


def _by_name(name: str, answer: Answer, now: float) -> Verdict:
    shown = f"it answered {answer.status} with the error {name[:80] or '(none)'}"
    if name in _LIMITED:
        return limited(answer, now, json_object(answer).get("retry_after"))
    if name in _TRANSIENT:
        return TryAgain(shown, answer=excerpt(answer))
    if name in _REFUSES_US:
        return Hold(shown, excerpt(answer))
    return Rejected(shown, excerpt(answer))
