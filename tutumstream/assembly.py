"""The composition root: builds every part and wires them by constructor, in the order in which data flows."""

import random
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sdnotify
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import HTTPConnectionPool

from tutumstream import listening, outlets
from tutumstream.delivery.alarm import JournalAlarm
from tutumstream.delivery.compose import Composer
from tutumstream.delivery.incidents import Incidents
from tutumstream.delivery.lane import Lane
from tutumstream.delivery.service import Lanes
from tutumstream.delivery.state import DestinationState
from tutumstream.errors import SettingsError
from tutumstream.intake import Intake
from tutumstream.journal.housekeeping import Housekeeping
from tutumstream.journal.interface import IJournal
from tutumstream.journal.sql import SqlJournal
from tutumstream.journal.worker import ThreadWorker
from tutumstream.net.agent import USER_AGENT, agent, endpoints, pool
from tutumstream.net.fast_client import FastClient
from tutumstream.net.http import Exchanges, HttpClient
from tutumstream.net.pool import Pool
from tutumstream.net.proxy import Proxies
from tutumstream.net.tls import client_options, load_trust
from tutumstream.notifiers.interface import INotifier
from tutumstream.operators.api import OperatorsResource
from tutumstream.operators.office import Office
from tutumstream.resources.client import Resources
from tutumstream.resources.inventory import Lister, collections
from tutumstream.resync.service import Resync
from tutumstream.routing.problems import problems
from tutumstream.routing.route import Route
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
    quick = Pool(reactor, endpoints(reactor, far, trust))
    fast = FastClient(quick, reactor)
    notifiers = outlets.notifiers(settings, out, fast)
    routes = _routes(settings, outlets.chat(notifiers))
    systemd = Systemd(sdnotify.SystemdNotifier().notify, reactor, settings.environment, reactor.callWhenRunning)
    journal = SqlJournal(str(state_dir / "journal.sqlite3"), ThreadWorker(reactor), reactor)
    board = Board(lambda: journal.health.problem, lambda snapshot: systemd.say(str(snapshot)))
    resources = Resources(api, origin.api_url, origin.credentials.authorization, reactor)
    incidents = Incidents()
    composers = {name: Composer(routes, name, notifier, resources.fetch) for name, notifier in notifiers.items()}

    def turned(name: str, before: DestinationState, after: DestinationState) -> None:
        intake.turned(name, before, after)

    lanes = _lanes(settings, reactor, notifiers, composers, journal, incidents, board, turned)
    office = Office(journal, reactor.seconds, lanes.offer, {name: each.messages for name, each in composers.items()})
    router = Router(routes, notifiers)
    intake = Intake(router, incidents, journal, lanes.offer, resources.forget, board, reactor.seconds)
    resync = _resync(reactor, origin, intake, incidents, journal, api)
    stream = _stream(settings, reactor, origin, intake, resync, board, near, trust)
    return Parts(
        journal=journal,
        intake=intake,
        lanes=lanes,
        housekeeping=Housekeeping(journal, settings.limits, reactor, reactor.seconds),
        alarm=_alarm(journal, notifiers, board, intake, reactor),
        resync=resync,
        stream=stream,
        clock=reactor,
        embedded=origin.gateway,
        board=board,
        systemd=systemd,
        pages=_pages(settings, reactor, board, office),
        released=_release(kept, quick, release),
    )


def _lanes(
    settings: Settings,
    reactor: Any,
    notifiers: Mapping[str, INotifier],
    composers: Mapping[str, Composer],
    journal: IJournal,
    incidents: Incidents,
    board: Board,
    turned: Callable[[str, DestinationState, DestinationState], None],
) -> Lanes:
    def lane(name: str, notifier: INotifier) -> Lane:
        return Lane(
            name,
            notifier,
            outlets.manners(settings, name),
            journal,
            composers[name],
            incidents,
            board.destination_is,
            turned,
            reactor,
            reactor.seconds,
            random.random,
        )

    return Lanes([lane(name, notifier) for name, notifier in notifiers.items()], journal, incidents, reactor)


def _alarm(
    journal: IJournal, notifiers: Mapping[str, INotifier], board: Board, intake: Intake, reactor: Any
) -> JournalAlarm:
    told = {name: notifiers[name] for name in ("pagerduty", "slack") if name in notifiers}
    return JournalAlarm(journal, told, lambda: board.is_connected, intake.take, reactor, reactor.seconds)


def _routes(settings: Settings, chat: str) -> tuple[Route, ...]:
    built_in = problems if settings.routes == "problems" else tutorial
    return built_in(settings.pagerduty.on_delete if settings.pagerduty else (), chat)


def _state_dir(settings: Settings) -> tuple[Path, Callable[[], None]]:
    """Where the journal lives, and what is to be done with that place in the end."""
    if settings.state_dir is not None:
        return settings.state_dir, lambda: None
    # Made by the journal when it opens, so that a start that fails before leaves nothing behind.
    try:
        folder = tempfile.gettempdir()
    except OSError:
        raise SettingsError(["TMPDIR: a demo needs a folder that it may write to, and there is none"]) from None
    temporary = Path(folder, f"tutumstream-{secrets.token_hex(8)}")
    return temporary, lambda: shutil.rmtree(temporary, ignore_errors=True)


def _resync(
    reactor: Any, origin: Source, intake: Intake, incidents: Incidents, journal: IJournal, http: Exchanges
) -> Resync:
    resync = Resync(
        source=origin.name,
        lister=Lister(
            http,
            origin.api_url,
            collections(origin.stream_url),
            origin.credentials.authorization,
            reactor,
            reactor.seconds,
            random.random,
        ),
        journal=journal,
        take=intake.take,
        catch_up=intake.catch_up,
        clock=reactor,
        now=reactor.seconds,
    )
    incidents.blind_since = lambda: resync.blind_since
    return resync


def _stream(
    settings: Settings,
    reactor: Any,
    origin: Source,
    intake: Intake,
    resync: Resync,
    board: Board,
    proxies: Proxies,
    trust: Any,
) -> StreamService:
    url, credentials = origin.stream_url, origin.credentials
    stream = StreamService(
        url=f"{url}?{credentials.query}" if settings.query_auth else url,
        headers={} if settings.query_auth else {"Authorization": credentials.authorization},
        check=VARIABLES,
        reactor=reactor,
        tls=_tls(url, trust),
        take=resync.take,
        keep=intake.keep,
        together=intake.together,
        publish=board.stream_is,
        now=reactor.seconds,
        jitter=random.random,
        useragent=USER_AGENT,
        proxy=proxies.for_url(url),
        secrets=credentials.secrets,
    )
    intake.full = stream.hold
    stream.watcher = resync
    resync.caught_up = stream.caught_up
    return stream


def _tls(stream_url: str, trust: Any) -> Any:
    parts = urlsplit(stream_url)
    return client_options(parts.hostname or "", trust) if parts.scheme == "wss" else None


def _pages(settings: Settings, reactor: Any, board: Board, office: Office) -> Any:
    if not settings.listen:
        return None
    return listening.server(reactor, settings.listen), site(board.snapshot, OperatorsResource(office))


def _release(kept: HTTPConnectionPool, quick: Pool, state_dir: Callable[[], None]) -> Callable[[], None]:
    def release() -> None:
        kept.closeCachedConnections()
        quick.close_idle()
        state_dir()

    return release
