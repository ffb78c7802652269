"""One POST, one verdict: what all destinations behind HTTP have in common."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tutumstream.errors import ExchangeError
from tutumstream.net.address import Address, masked
from tutumstream.net.http import Answer, Exchanges
from tutumstream.notifiers.answers import Judge
from tutumstream.notifiers.interface import DELIVERED, Delivered, TryAgain, Verdict

_JSON: Final = {"Content-Type": "application/json"}


class Post:
    """An address that takes JSON. Nothing that leaves it shows more of the address than its host.

    Args:
        http: how to speak.
        url: where to; may be a secret, and may hold user and password.
        judge: reads the answers.
        now: seconds since 1970.
        secrets: what else must never be shown, even where the destination repeats it.
        idempotent: the destination knows a repeat by its id.

    Raises:
        ValueError: it is no http or https URL; the text holds nothing of it.
    """

    def __init__(
        self,
        http: Exchanges,
        url: str,
        judge: Judge,
        now: Callable[[], float],
        secrets: tuple[str, ...] = (),
        idempotent: bool = False,
    ) -> None:
        address = Address.parse(url)
        self.origin = address.origin
        self.now = now
        self._http = http
        self._url = url
        self._judge = judge
        self._secrets = longest_first(*address.secrets, *secrets)
        self._idempotent = idempotent

    def send(self, body: bytes, headers: Mapping[str, str] | None = None) -> Deferred[list[Verdict]]:
        """Send it once; fires with its verdict, in the form that `INotifier.notify` gives.

        Trouble on the way is a verdict too: nobody knows whether it arrived, so it is sent again.
        """
        sent = {"Content-Type": "application/json", **headers} if headers else _JSON
        asked = self._http.exchange("POST", self._url, sent, body, idempotent=self._idempotent)
        return asked.addCallbacks(self._judged, self._troubled)

    def _judged(self, answer: Answer) -> list[Verdict]:
        verdict = self._judge(answer, self.now())
        return [verdict if verdict is DELIVERED else discreet(verdict, self._secrets)]

    def _troubled(self, failure: Failure) -> list[Verdict]:
        failure.trap(ExchangeError)
        return [TryAgain(masked(str(failure.value), self._secrets))]


def longest_first(*secrets: str) -> tuple[str, ...]:
    """In the order in which they must be masked: one may hold another."""
    return tuple(sorted({*secrets} - {""}, key=len, reverse=True))


def discreet(verdict: Verdict, secrets: tuple[str, ...]) -> Verdict:
    """The verdict without secrets, whatever the destination repeated of them."""
    if isinstance(verdict, Delivered):
        return Delivered(masked(verdict.remote_id, secrets)) if verdict.remote_id else verdict
    return replace(verdict, reason=masked(verdict.reason, secrets), answer=masked(verdict.answer, secrets))
