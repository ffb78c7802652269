"""Every kind of destination that comes with the service, by the name that settings use."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tutumstream.notifiers.log import LogNotifier
from tutumstream.notifiers.pagerduty import PagerDutyNotifier
from tutumstream.notifiers.slack import SlackNotifier
from tutumstream.notifiers.webhook import WebhookNotifier

Kind = type[SlackNotifier] | type[PagerDutyNotifier] | type[WebhookNotifier] | type[LogNotifier]

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "slack": SlackNotifier,
        "pagerduty": PagerDutyNotifier,
        "webhook": WebhookNotifier,
        "log": LogNotifier,
    }
)
