"""PagerDuty, by its Events API v1 or v2.

PagerDuty tells repeats by the incident's key: sending twice is in effect sending once.
"""

from collections.abc import Callable, Sequence
from typing import Final, Literal

from twisted.internet.defer import Deferred
from zope.interface import implementer

from tutumstream.net.http import Exchanges
from tutumstream.notifiers.interface import INotifier, Message, Verdict
from tutumstream.notifiers.pagerduty_events import Origin, judge_v1, judge_v2, v1_body, v2_body
from tutumstream.notifiers.post import Post

V1_URL: Final = "https://events.pagerduty.com/generic/2010-04-15/create_event.json"
V2_URL: Final = "https://events.pagerduty.com/v2/enqueue"


@implementer(INotifier)
class PagerDutyNotifier:
    """Triggers, acknowledges and resolves incidents of one PagerDuty service.

    Args:
        http: how to speak.
        key: the integration key (`service_key` in v1, `routing_key` in v2).
        now: seconds since 1970.
        api: which Events API.
        url: another endpoint (EU, a relay, a test); "" is PagerDuty's own.
        origin: who pages.

    Raises:
        ValueError: `url` is no http or https URL.
    """

    batch = 1
    linger = 0.0
    textual = True
    needs: frozenset[str] = frozenset()

    def __init__(
        self,
        http: Exchanges,
        key: str,
        now: Callable[[], float],
        *,
        api: Literal["v1", "v2"] = "v1",
        url: str = "",
        origin: Origin | None = None,
    ) -> None:
        self._key = key
        self._origin = origin or Origin()
        self._api = api
        self._body = v1_body if api == "v1" else v2_body
        judge = judge_v1 if api == "v1" else judge_v2
        self._post = Post(http, url or (V1_URL if api == "v1" else V2_URL), judge, now, secrets=(key,))

    def __repr__(self) -> str:
        return f"<PagerDuty {self._api} at {self._post.origin}>"

    def escape(self, text: str) -> str:
        """PagerDuty shows text as it is."""
        return text

    def notify(self, messages: Sequence[Message]) -> Deferred[list[Verdict]]:
        """One POST a message, one after the other."""
        return Deferred.fromCoroutine(self._notify(messages))

    async def _notify(self, messages: Sequence[Message]) -> list[Verdict]:
        bodies = [self._body(message, self._key, self._origin) for message in messages]
        return [verdict for body in bodies for verdict in await self._post.send(body)]
