"""The destinations that the settings turn on: their notifiers, and how each is treated."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from twisted.logger import Logger

from tutumstream.delivery.manners import Manners
from tutumstream.delivery.rate import Rate
from tutumstream.net.http import Exchanges
from tutumstream.notifiers.elasticsearch import ElasticsearchNotifier
from tutumstream.notifiers.interface import INotifier
from tutumstream.notifiers.log import LogNotifier
from tutumstream.notifiers.pagerduty import PagerDutyNotifier
from tutumstream.notifiers.slack import SlackNotifier
from tutumstream.notifiers.webhook import WebhookNotifier
from tutumstream.settings import Settings

_log = Logger("tutumstream")


def notifiers(settings: Settings, http: Exchanges, fast: Exchanges) -> Mapping[str, INotifier]:
    """The destinations that are on, by name, and a line that says which.

    Args:
        http: for chat.
        fast: for those that are sent everything.
    """
    found: dict[str, INotifier] = {}
    if settings.source == "demo":
        found |= {name: LogNotifier(name) for name in ("slack", "pagerduty")}
    if settings.slack_url is not None:
        found["slack"] = SlackNotifier(http, settings.slack_url.get_secret_value(), time.time)
    if settings.pagerduty is not None:
        pager = settings.pagerduty
        found["pagerduty"] = PagerDutyNotifier(
            http, pager.key.get_secret_value(), time.time, api=pager.api, url=pager.url
        )
    if settings.webhook is not None:
        secret = settings.webhook.secret.get_secret_value() if settings.webhook.secret else ""
        found["webhook"] = WebhookNotifier(fast, settings.webhook.url.get_secret_value(), time.time, secret=secret)
    if settings.elasticsearch is not None:
        store = settings.elasticsearch
        found["elasticsearch"] = ElasticsearchNotifier(
            fast,
            store.url.get_secret_value(),
            store.index,
            time.time,
            authorization=store.authorization.get_secret_value(),
        )
    if found:
        _log.info("destinations: {names}, and this log", names=", ".join(found))
    else:
        _log.info("no destination is set, so this log gets everything; SLACK_URL and PAGERDUTY_KEY are two to set")
    return found | {"log": LogNotifier()}


_MANNERS: Final = {
    "slack": Manners(at_once=1, rate=Rate(1.0, burst=3), digests=True),
    "pagerduty": Manners(at_once=4, rate=Rate(2.0, burst=2)),
    "webhook": Manners(at_once=50),
    "elasticsearch": Manners(at_once=4),
}


def manners(settings: Settings, name: str) -> Manners:
    """How a destination is treated: as its owner asks for (wire contracts), or at the rate that the settings say."""
    if settings.source == "demo" or name not in _MANNERS:
        return Manners()
    usual = _MANNERS[name]
    if name in settings.rates:
        rate = settings.rates[name]
        return replace(usual, rate=Rate(rate, burst=max(1, round(3 * rate))) if rate else None)
    return usual


def chat(found: Mapping[str, INotifier]) -> str:
    """Who hears what the tutorial says in Slack: the log, where nobody else hears anything."""
    return "log" if set(found) == {"log"} else "slack"
