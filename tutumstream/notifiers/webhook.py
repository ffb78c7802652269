"""Any HTTP endpoint, in the form of Standard Webhooks (github.com/standard-webhooks/standard-webhooks).

`webhook-id` stays the same over all attempts: a receiver that remembers it has each event once.
"""

from collections.abc import Callable, Sequence

import msgspec
from twisted.internet.defer import Deferred, gatherResults
from zope.interface import implementer

from tutumstream.event import Event
from tutumstream.net.http import Answer, Exchanges
from tutumstream.notifiers.answers import by_status
from tutumstream.notifiers.document import document
from tutumstream.notifiers.interface import DELIVERED, INotifier, Message, Verdict
from tutumstream.notifiers.post import Post
from tutumstream.notifiers.signature import signature, signing_key


@implementer(INotifier)
class WebhookNotifier:
    """Posts each message's event as JSON; the text is for people and stays behind.

    Args:
        http: how to speak.
        url: the endpoint; user and password in it are sent as `Authorization: Basic`.
        now: seconds since 1970.
        secret: signs what is sent; `whsec_` and base64, or any text. "" signs nothing.

    Raises:
        ValueError: `url` is no http or https URL, or `secret` is not what its prefix promises.
    """

    batch = 1
    linger = 0.0
    textual = False
    needs: frozenset[str] = frozenset()

    def __init__(self, http: Exchanges, url: str, now: Callable[[], float], *, secret: str = "") -> None:
        self._key = signing_key(secret) if secret else None
        self._post = Post(http, url, judge, now, secrets=(secret, secret.removeprefix("whsec_")), idempotent=True)

    def __repr__(self) -> str:
        return f"<webhook at {self._post.origin}>"

    def escape(self, text: str) -> str:
        """No markup: nothing to escape."""
        return text

    def notify(self, messages: Sequence[Message]) -> Deferred[list[Verdict]]:
        """One POST a message."""
        if len(messages) == 1:
            return self._send(messages[0])
        sent = gatherResults([self._send(message) for message in messages])
        return sent.addCallback(lambda verdicts: [verdict for (verdict,) in verdicts])

    def _send(self, message: Message) -> Deferred[list[Verdict]]:
        sent = body(message.event)
        at = int(self._post.now())
        headers = {"webhook-id": message.id, "webhook-timestamp": str(at)}
        if self._key is not None:
            headers["webhook-signature"] = signature(self._key, message.id, at, sent)
        return self._post.send(sent, headers)


def body(event: Event) -> bytes:
    """What is sent: `type` in dots, the time of the event, and the event as `data`."""
    kind = f"tutum.{event.type}.{event.action}".rstrip(".")
    data = document(event)
    return msgspec.json.encode({"type": kind, "timestamp": data["received_at"], "data": data})


def judge(answer: Answer, now: float) -> Verdict:
    """Every 2xx is a success, and nothing else is."""
    return DELIVERED if 200 <= answer.status < 300 else by_status(answer, now)
