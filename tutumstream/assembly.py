"""The composition root: builds every part and wires them by constructor, in the order in which data flows."""

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import sdnotify
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import HTTPConnectionPool

from tutumstream.delivery.compose import Composer
from tutumstream.delivery.incidents import Incidents
from tutumstream.delivery.lane import Lane, Manners
from tutumstream.delivery.rate import Rate
from tutumstream.delivery.service import Lanes
from tutumstream.intake import Intake
from tutumstream.journal.housekeeping import Housekeeping
from tutumstream.journal.sql import SqlJournal
from tutumstream.journal.worker import ThreadWorker
from tutumstream.net.agent import USER_AGENT, agent, pool
from tutumstream.net.http import HttpClient
from tutumstream.net.proxy import Proxies
from tutumstream.net.tls import client_options, load_trust
from tutumstream.notifiers.elasticsearch import ElasticsearchNotifier
from tutumstream.notifiers.interface import INotifier
from tutumstream.notifiers.log import LogNotifier
from tutumstream.notifiers.pagerduty import PagerDutyNotifier
from tutumstream.notifiers.slack import SlackNotifier
from tutumstream.notifiers.webhook import WebhookNotifier
from tutumstream.resources.client import Resources
from tutumstream.routing.router import Router
from tutumstream.routing.tutorial import tutorial
from tutumstream.service import Parts
from tutumstream.settings import Settings
from tutumstream.source import Source, source
from tutumstream.status.board import Board
from tutumstream.status.pages import site
from tutumstream.status.systemd import Systemd
from tutumstream.stream.credentials import VARIABLES
from tutumstream.stream.service import StreamService

_log = Logger("tutumstream")


def assemble(settings: Settings, reactor: Any, fatal: Callable[[Failure], None]) -> Parts:
    """Everything, ready to start; nothing is dialled and no journal is opened yet.

    Args:
        fatal: called when the embedded gateway can't begin.
    """
    state_dir, release = _state_dir(settings)
    origin = source(settings, reactor, fatal)
    far = Proxies(settings.environment)
    near = Proxies({}) if origin.gateway else far
    kept = pool(reactor)
    trust = load_trust(settings.environment)
    out = HttpClient(agent(reactor, far, trust, kept), reactor)
    api = HttpClient(agent(reactor, near, trust, kept), reactor)
    notifiers = _notifiers(settings, out)
    routes = tutorial(settings.pagerduty.on_delete if settings.pagerduty else (), _chat(notifiers))

    systemd = Systemd(sdnotify.SystemdNotifier().notify, reactor, settings.environment)
    journal = SqlJournal(str(state_dir / "journal.sqlite3"), ThreadWorker(reactor), reactor)
    board = Board(lambda: journal.health.problem, systemd.show)
    resources = Resources(api, origin.api_url, origin.credentials.authorization, reactor)
    incidents = Incidents()

    def lane(name: str, notifier: INotifier) -> Lane:
        return Lane(
            name,
            notifier,
            _manners(settings, name),
            journal,
            Composer(routes, name, notifier, resources.fetch),
            incidents,
            board.destination_is,
            lambda *turn: intake.turned(*turn),
            reactor,
            time.time,
            random.random,
        )

    lanes = Lanes([lane(name, notifier) for name, notifier in notifiers.items()], journal, incidents, reactor)
    router = Router(routes, notifiers)
    intake = Intake(router, incidents, journal, lanes.offer, resources.forget, board, time.time)
    stream = _stream(settings, reactor, origin, intake, board, near, trust)
    intake.full = stream.hold
    return Parts(
        journal=journal,
        intake=intake,
        lanes=lanes,
        housekeeping=Housekeeping(journal, settings.limits, reactor, time.time),
        stream=stream,
        embedded=origin.gateway,
        board=board,
        systemd=systemd,
        pages=_pages(settings, reactor, board),
        released=_release(kept, release),
    )


def _state_dir(settings: Settings) -> tuple[Path, Callable[[], None]]:
    """Where the journal lives, and what is to be done with that place in the end."""
    if settings.state_dir is not None:
        return settings.state_dir, lambda: None
    temporary = tempfile.mkdtemp(prefix="tutumstream-")
    return Path(temporary), lambda: shutil.rmtree(temporary, ignore_errors=True)


def _notifiers(settings: Settings, http: HttpClient) -> Mapping[str, INotifier]:
    """The destinations that are on, by name, and a line that says which."""
    notifiers: dict[str, INotifier] = {}
    if settings.source == "demo":
        notifiers |= {name: LogNotifier(name) for name in ("slack", "pagerduty")}
    if settings.slack_url is not None:
        notifiers["slack"] = SlackNotifier(http, settings.slack_url.get_secret_value(), time.time)
    if settings.pagerduty is not None:
        pager = settings.pagerduty
        notifiers["pagerduty"] = PagerDutyNotifier(
            http, pager.key.get_secret_value(), time.time, api=pager.api, url=pager.url
        )
    if settings.webhook is not None:
        secret = settings.webhook.secret.get_secret_value() if settings.webhook.secret else ""
        notifiers["webhook"] = WebhookNotifier(http, settings.webhook.url.get_secret_value(), time.time, secret=secret)
    if settings.elasticsearch is not None:
        store = settings.elasticsearch
        notifiers["elasticsearch"] = ElasticsearchNotifier(
            http,
            store.url.get_secret_value(),
            store.index,
            time.time,
            authorization=store.authorization.get_secret_value(),
        )
    if notifiers:
        _log.info("destinations: {names}, and this log", names=", ".join(notifiers))
    else:
        _log.info("no destination is set, so this log gets everything; SLACK_URL and PAGERDUTY_KEY are two to set")
    return notifiers | {"log": LogNotifier()}


_MANNERS: Final = {
    "slack": Manners(at_once=1, rate=Rate(1.0, burst=3), digests=True),
    "pagerduty": Manners(at_once=4, rate=Rate(2.0, burst=2)),
    "webhook": Manners(at_once=50),
    "elasticsearch": Manners(at_once=4),
}


def _manners(settings: Settings, name: str) -> Manners:
    """How a destination is treated: as its owner asks for (wire contracts), or at the rate that the settings say."""
    if settings.source == "demo" or name not in _MANNERS:
        return Manners()
    manners = _MANNERS[name]
    if name in settings.rates:
        rate = settings.rates[name]
        burst = max(1, round(3 * rate)) if rate else 1
        return replace(manners, rate=Rate(rate, burst) if rate else None)
    return manners


def _chat(notifiers: Mapping[str, INotifier]) -> str:
    """Who hears what the tutorial says in Slack: the log, where nobody else hears anything."""
    return "log" if set(notifiers) == {"log"} else "slack"


def _stream(
    settings: Settings, reactor: Any, origin: Source, intake: Intake, board: Board, proxies: Proxies, trust: Any
) -> StreamService:
    url, credentials = origin.stream_url, origin.credentials
    return StreamService(
        url=f"{url}?{credentials.query}" if settings.query_auth else url,
        headers={} if settings.query_auth else {"Authorization": credentials.authorization},
        check=VARIABLES,
        reactor=reactor,
        tls=_tls(url, trust),
        take=intake.take,
        keep=intake.keep,
        publish=board.stream_is,
        now=time.time,
        jitter=random.random,
        useragent=USER_AGENT,
        proxy=proxies.for_url(url),
    )


def _tls(stream_url: str, trust: Any) -> Any:
    parts = urlsplit(stream_url)
    return client_options(parts.hostname or "", trust) if parts.scheme == "wss" else None


def _pages(settings: Settings, reactor: Any, board: Board) -> Any:
    if not settings.listen:
        return None
    return serverFromString(reactor, settings.listen), site(board.snapshot)


def _release(kept: HTTPConnectionPool, state_dir: Callable[[], None]) -> Callable[[], None]:
    def release() -> None:
        kept.closeCachedConnections()
        state_dir()

    return release
