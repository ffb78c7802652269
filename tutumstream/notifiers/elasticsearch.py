"""Elasticsearch and OpenSearch: every event as a document, by `_bulk`.

A document's id is the event's, not the message's: several routes that tell of one event, several tries, and a stream
that sends an event again make one document. `create` sees to that: what is there already is refused as a conflict,
which is as good as stored.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from zope.interface import implementer

from tutumstream.errors import ExchangeError
from tutumstream.net.address import masked
from tutumstream.net.http import Exchanges
from tutumstream.notifiers.answers import excerpt
from tutumstream.notifiers.bulk_api import CONTENT_TYPE, PATH, entry, grouped, is_blocked, judge, of_request
from tutumstream.notifiers.elasticsearch_access import server
from tutumstream.notifiers.elasticsearch_document import source, template, template_name
from tutumstream.notifiers.elasticsearch_index import IndexName
from tutumstream.notifiers.interface import INotifier, Message, Rejected, TryAgain, Verdict
from tutumstream.notifiers.post import discreet, longest_first
from tutumstream.notifiers.text import one_line

BODY_BYTES: Final = 5 * 1024 * 1024
"""A longer body does not make it faster (Elasticsearch's reference, "Tune for indexing speed")."""

LEAST_BYTES: Final = 64 * 1024
"""However small the bodies are that a proxy in between takes: below this, one refusal says nothing about the next."""

PATIENCE: Final = 30.0
"""Seconds for one request. A busy cluster needs long, and giving up early would send it the same work again."""

LINE_LIMIT: Final = 300
"""Characters of its answer that a log line shows."""

ANSWER_BYTES: Final = 4 * 1024 * 1024
"""An error's reason may quote the document, once for each. Of an answer that is longer, a half is asked for."""

_SHUT = frozenset({401, 406, 407, 415})
"""Who refuses the index template so refuses the documents too."""


@implementer(INotifier)
class ElasticsearchNotifier:
    """Indexes each message's event; the text is for people and stays behind.

    The index template is put before the first documents: a mapping can't be changed once there is one. So trouble that
    may pass keeps them back. Where we may not put it, or the server is too old for it, that is logged once, and the
    documents are sent all the same.

    Args:
        http: how to speak.
        url: the server, with a path in front of its API where there is one; user and password in it are sent as
            `Authorization: Basic`.
        index: where the documents go.
        now: seconds since 1970.
        authorization: the value of the `Authorization` header; "" leaves it to the URL.
        body_bytes: of one request, at most, but for a document that is longer.
        answer_bytes: of one answer, as much as is read.

    Raises:
        ValueError: `url` is no http or https URL, or more than a server.
    """

    log = Logger()
    batch = 500
    linger = 1.0
    textual = False
    needs = frozenset({"resource"})

    def __init__(
        self,
        http: Exchanges,
        url: str,
        index: IndexName,
        now: Callable[[], float],
        *,
        authorization: str = "",
        body_bytes: int = BODY_BYTES,
        answer_bytes: int = ANSWER_BYTES,
    ) -> None:
        address = server(url)
        self._http = http
        self._origin = address.origin
        self._url = url.rstrip("/")
        self._index = index
        self._now = now
        self._headers = {"Authorization": authorization} if authorization else {}
        # Without a path there is nothing secret in where it is, and messages would name `***`.
        hidden = [one for one in address.secrets if one.rstrip("/") != address.origin]
        self._secrets = longest_first(*hidden, authorization, *authorization.split(" ")[1:])
        self._body_bytes = body_bytes
        self._answer_bytes = answer_bytes
        self._prepared = False
        self._preparing = DeferredLock()
        self._complete = True

    def __repr__(self) -> str:
        return f"<Elasticsearch index {self._index.pattern} at {self._origin}>"

    def escape(self, text: str) -> str:
        """No text, no markup."""
        return text

    def notify(self, messages: Sequence[Message]) -> Deferred[list[Verdict]]:
        """One request for all of them, several where they are too long for one."""
        return Deferred.fromCoroutine(self._notify(messages))

    async def _notify(self, messages: Sequence[Message]) -> list[Verdict]:
        if not messages:
            return []
        trouble = await self._prepare()
        if trouble is not None:
            return [trouble] * len(messages)
        verdicts = await self._send([self._entry(message) for message in messages])
        refused = [n for n, verdict in enumerate(verdicts) if isinstance(verdict, Rejected) and messages[n].resources]
        if refused:
            self._observe(verdicts[refused[0]])
            again = await self._send([self._entry(messages[n], resource=False) for n in refused])
            for n, verdict in zip(refused, again, strict=True):
                verdicts[n] = verdict
        return verdicts

    def _entry(self, message: Message, *, resource: bool = True) -> bytes:
        event = message.event
        return entry(self._index.at(event.received_at), event.id, source(message, resource=resource))

    async def _send(self, entries: Sequence[bytes]) -> list[Verdict]:
        """Send them in as many requests as it takes; a request that is refused for its body is halved.

        So is one whose answer is too long to be read. What was stored by then is there once all the same.

        What is wrong with the server ends it: whatever was not sent by then would fare the same.
        """
        verdicts: list[Verdict] = []
        groups = deque(grouped(entries, self._body_bytes))
        while groups:
            group = groups.popleft()
            found = await self._post(group)
            if isinstance(found, list):
                verdicts += found
            elif not isinstance(found, Rejected):
                return verdicts + [found] * (len(entries) - len(verdicts))
            elif len(group) == 1:
                verdicts.append(found)
            else:
                middle = len(group) // 2
                groups.extendleft((group[middle:], group[:middle]))
        return verdicts

    async def _post(self, group: Sequence[bytes]) -> list[Verdict] | Verdict:
        body = b"".join(group)
        headers = {"Content-Type": CONTENT_TYPE, **self._headers}
        try:
            answer = await self._http.exchange(
                "POST", self._url + PATH, headers, body, timeout=PATIENCE, limit=self._answer_bytes, idempotent=True
            )
        except ExchangeError as trouble:
            return TryAgain(masked(str(trouble), self._secrets))
        if answer.status == 413 and len(group) > 1:
            self._body_bytes = min(self._body_bytes, max(LEAST_BYTES, len(body) // 2))
        found = judge(answer, len(group), self._now())
        if isinstance(found, list):
            return [discreet(verdict, self._secrets) for verdict in found]
        return discreet(found, self._secrets)

    async def _prepare(self) -> Verdict | None:
        """See to the index template; the verdict on all messages where they can't be sent for now."""
        if self._prepared:
            return None
        await self._preparing.acquire()
        try:
            return None if self._prepared else await self._put_template()
        finally:
            self._preparing.release()

    async def _put_template(self) -> Verdict | None:
        headers = {"Content-Type": "application/json", **self._headers}
        url = f"{self._url}/_index_template/{template_name(self._index)}"
        try:
            answer = await self._http.exchange("PUT", url, headers, template(self._index), timeout=PATIENCE)
        except ExchangeError as trouble:
            return TryAgain(masked(str(trouble), self._secrets))
        # A page that something in between shows with a 200, a login perhaps, puts nothing.
        if answer.status in (200, 201) and answer.body.lstrip().startswith(b"{"):
            self._prepared = True
            return None
        verdict = of_request(answer, self._now())
        if isinstance(verdict, TryAgain) or answer.status in _SHUT or 300 <= answer.status < 400 or is_blocked(answer):
            return discreet(verdict, self._secrets)
        self._prepared = True
        self.log.warn(
            "{notifier}: the index template was not taken ({status}: {said}); the server maps new indices itself",
            notifier=self,
            status=answer.status,
            said=self._shown(excerpt(answer)),
        )
        return None

    def _observe(self, refusal: Verdict) -> None:
        """Tell once that documents are stored without what was looked up."""
        if self._complete and isinstance(refusal, Rejected):
            self._complete = False
            self.log.warn(
                "{notifier} refuses documents with their resource ({reason}); they are sent without it",
                notifier=self,
                reason=self._shown(refusal.answer or refusal.reason),
            )

    def _shown(self, text: str) -> str:
        return one_line(masked(text, self._secrets), LINE_LIMIT)
