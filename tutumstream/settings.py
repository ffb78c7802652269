"""Options and environment become one frozen value, read and checked in one go: every mistake is found at once."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, WrapValidator, field_validator

from tutumstream import listening
from tutumstream.destination_settings import (
    DestinationVariables,
    ElasticsearchSettings,
    PagerDutySettings,
    WebhookSettings,
    misfits,
)
from tutumstream.errors import SettingsError
from tutumstream.gateway.docker.engines import Engine, Read, read_engines
from tutumstream.journal.interface import Limits
from tutumstream.net.address import Address
from tutumstream.net.proxy import Proxies
from tutumstream.net.tls import load_trust
from tutumstream.stream import credentials
from tutumstream.stream.credentials import Credentials
from tutumstream.variables import SECRETS, TEXT, ReadText, from_files, slips, that_count, unfit
from tutumstream.whereabouts import LISTEN, state_dir

NOT_YET: Final = ("TUTUMSTREAM_CONFIG",)
"""Promised by the interface and not built yet: better said at the start than missed at three in the morning."""

Source = Literal["stream", "demo", "docker"]
RouteSet = Literal["tutorial", "problems"]
LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warn", "error"]


def _lower(value: object) -> object:
    return {"warning": "warn"}.get(value.lower(), value.lower()) if isinstance(value, str) else value


def _rate(value: object, number: Callable[[object], float]) -> float:
    """0.0 for no limit."""
    if isinstance(value, str) and value.strip().lower() == "none":
        return 0.0
    try:
        found = number(value)
    except ValueError:
        raise ValueError(_RATES) from None
    if found == 0:
        raise ValueError(f"0 would tell nothing at all; {_RATES}")
    if 0 < found < _SLOWEST:
        raise ValueError(_RATES)
    return found


_SLOWEST: Final = 0.001
_RATES: Final = "messages a second are from 0.001 to 100000 (0.5 is one in two seconds), or none for no limit"

PerSecond = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False), WrapValidator(_rate)]

Rows = Annotated[int, Field(gt=0, le=10**12)]
"""More than any disk holds, and few enough for SQLite's integers of 64 bits."""


class Variables(DestinationVariables):
    """The environment, typed. An empty variable counts as not set."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    TUTUM_STREAM_URL: str = ""
    TUTUM_STREAM_HOST: str = "wss://stream.tutum.co"
    TUTUM_BASE_URL: str = ""
    TUTUM_REST_HOST: str = "https://dashboard.tutum.co"
    TUTUM_STREAM_AUTH: Annotated[Literal["header", "query"], BeforeValidator(_lower)] = "header"
    SLACK_RATE: PerSecond | None = None
    PAGERDUTY_RATE: PerSecond | None = None
    WEBHOOK_RATE: PerSecond | None = None
    ELASTICSEARCH_RATE: PerSecond | None = None
    TUTUMSTREAM_HISTORY_DAYS: Annotated[float, Field(gt=0, le=36_500)] = 7.0
    TUTUMSTREAM_HISTORY_ROWS: Rows = 1_000_000
    TUTUMSTREAM_PENDING_ROWS: Rows = 1_000_000
    TUTUMSTREAM_ROUTES: Annotated[RouteSet, BeforeValidator(_lower)] = "tutorial"
    TUTUMSTREAM_STATE_DIR: str = ""
    STATE_DIRECTORY: str = ""
    TUTUMSTREAM_LISTEN: str = LISTEN
    TUTUMSTREAM_LOG_FORMAT: Annotated[LogFormat | None, BeforeValidator(_lower)] = None
    TUTUMSTREAM_LOG_LEVEL: Annotated[LogLevel, BeforeValidator(_lower)] = "info"

    @field_validator("TUTUM_STREAM_URL", "TUTUM_STREAM_HOST")
    @classmethod
    def _stream_url(cls, value: str) -> str:
        if not value.startswith(("wss://", "ws://")):
            raise ValueError("the URL must begin with wss:// or ws://")
        # Apart from its scheme it is like any other.
        Address.parse("http" + value.removeprefix("ws"))
        if any(mark in value for mark in "?#"):
            raise ValueError("the URL must end with its path: leave out everything from ? or # on")
        if "@" in urlsplit(value).netloc:
            raise ValueError(f"user and password have no place in the URL: set {credentials.VARIABLES}")
        return value

    @field_validator("TUTUM_BASE_URL", "TUTUM_REST_HOST")
    @classmethod
    def _api_url(cls, value: str) -> str:
        Address.parse(value)
        return value


NAMES: Final = frozenset(
    {*Variables.model_fields, *credentials.NAMES, *SECRETS, *(f"{name}_FILE" for name in SECRETS), *NOT_YET}
)
"""All variables that mean something."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the service is to do.

    Attributes:
        source: a remote stream, the embedded scenario, or the embedded gateway on a Docker Engine.
        stream_url: `ws(s)://…/events`.
        api_url: scheme and host of the REST API, no path.
        credentials: None where the source is embedded.
        query_auth: send the credentials in the URL, as the tutorial did.
        engines: of the embedded gateway.
        state_dir: holds the journal; None for a temporary folder.
        listen: a Twisted endpoint string, "" for none.
        routes: which of the built-in sets of routes.
        rates: messages a second by destination, 0.0 for no limit; those that were set only.
        limits: how much the journal keeps.
        environment: the variables that count, for proxies, trust and systemd.
        slips: a sentence for each variable that is nearly one of ours.
    """

    source: Source
    stream_url: str
    api_url: str
    credentials: Credentials | None
    query_auth: bool
    engines: tuple[Engine, ...]
    slack_url: SecretStr | None
    pagerduty: PagerDutySettings | None
    webhook: WebhookSettings | None
    elasticsearch: ElasticsearchSettings | None
    state_dir: Path | None
    listen: str
    routes: RouteSet
    rates: Mapping[str, float]
    limits: Limits
    log_format: LogFormat | None
    log_level: LogLevel
    environment: Mapping[str, str]
    slips: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Settings(source={self.source!r}, state_dir={self.state_dir!r}, …)"


def read(
    options: Mapping[str, Any],
    environment: Mapping[str, str],
    parse_endpoint: Callable[[str], object],
    read_text: ReadText = lambda path: Path(path).read_text(encoding=TEXT),
    read_file: Read = lambda path: Path(path).read_bytes(),
) -> Settings:
    """Make settings of options and environment; an option beats its variable.

    Args:
        options: as `tap.Options` parsed them.
        environment: variables.
        parse_endpoint: checks a Twisted endpoint string; raises ValueError.
        read_text: reads secrets' files and `~/.tutum`.
        read_file: reads Docker's contexts and certificates; raises OSError.

    Raises:
        SettingsError: with every mistake.
    """
    mistakes: list[str] = []
    typed = {f"TUTUMSTREAM_{name}": option for name, option in _OPTIONS.items() if options.get(option)}
    source: Source = "demo" if options.get("demo") else "docker" if options.get("docker") else "stream"
    known = that_count(environment, source)
    known.update(from_files(known, read_text, mistakes))
    known.update({name: options[option] for name, option in typed.items()})
    mistakes += [f"{name}: this version can't do that yet; unset it" for name in NOT_YET if name in known]
    if options.get("demo") and options.get("docker"):
        mistakes.append("--demo and --docker: choose one")
    if source == "demo" and options.get("state-dir"):
        mistakes.append("--state-dir: a demo forgets all in the end, in a folder of its own; leave it out")
    wrong = unfit(known)
    mistakes += wrong
    found = _credentials(known, read_text, mistakes) if source == "stream" and not wrong else None
    mistakes += misfits(known)
    engines = _engines(known, read_file, mistakes) if source == "docker" else ()
    _check_elsewhere(known, parse_endpoint, mistakes)
    try:
        variables = Variables.model_validate(known)
    except ValidationError as problem:
        mistakes += [f"{error['loc'][0]}: {_words(error)}" for error in problem.errors(include_url=False)]
        raise SettingsError(_as_typed(mistakes, typed)) from None
    if mistakes:
        raise SettingsError(_as_typed(mistakes, typed))
    return _settings(variables, source, found, engines, known)


def _as_typed(mistakes: list[str], typed: Mapping[str, str]) -> list[str]:
    """Each mistake under the name that was typed: the option where there is one."""
    return [
        f"--{typed[name]}{separator}{rest}" if name in typed else mistake
        for mistake in mistakes
        for name, separator, rest in [mistake.partition(":")]
    ]


_OPTIONS: Final = {
    "STATE_DIR": "state-dir",
    "LISTEN": "listen",
    "LOG_FORMAT": "log-format",
    "LOG_LEVEL": "log-level",
}


def _settings(
    variables: Variables,
    source: Source,
    found: Credentials | None,
    engines: tuple[Engine, ...],
    environment: Mapping[str, str],
) -> Settings:
    demo = source == "demo"
    return Settings(
        source=source,
        stream_url=_events_url(variables),
        api_url=Address.parse(variables.TUTUM_BASE_URL or variables.TUTUM_REST_HOST).origin,
        credentials=found,
        query_auth=variables.TUTUM_STREAM_AUTH == "query",
        engines=engines,
        slack_url=None if demo else variables.SLACK_URL,
        pagerduty=None if demo else variables.pagerduty(),
        webhook=None if demo else variables.webhook(),
        elasticsearch=None if demo else variables.elasticsearch(),
        state_dir=None
        if demo
        else state_dir("tutumstream", variables.TUTUMSTREAM_STATE_DIR, variables.STATE_DIRECTORY),
        listen="" if variables.TUTUMSTREAM_LISTEN.lower() == "none" else variables.TUTUMSTREAM_LISTEN,
        routes=variables.TUTUMSTREAM_ROUTES,
        rates=_rates(variables),
        limits=Limits(
            variables.TUTUMSTREAM_HISTORY_DAYS * 86400.0,
            variables.TUTUMSTREAM_HISTORY_ROWS,
            variables.TUTUMSTREAM_PENDING_ROWS,
        ),
        log_format=variables.TUTUMSTREAM_LOG_FORMAT,
        log_level=variables.TUTUMSTREAM_LOG_LEVEL,
        environment=dict(environment),
        slips=tuple(slips(environment, NAMES)),
    )


def _rates(variables: Variables) -> dict[str, float]:
    set_ones = {
        "slack": variables.SLACK_RATE,
        "pagerduty": variables.PAGERDUTY_RATE,
        "webhook": variables.WEBHOOK_RATE,
        "elasticsearch": variables.ELASTICSEARCH_RATE,
    }
    return {name: rate for name, rate in set_ones.items() if rate is not None}


def _events_url(variables: Variables) -> str:
    base = variables.TUTUM_STREAM_URL or f"{variables.TUTUM_STREAM_HOST.rstrip('/')}/v1"
    base = base.rstrip("/")
    return base if base.endswith("/events") else f"{base}/events"


def _credentials(known: Mapping[str, str], read_text: ReadText, mistakes: list[str]) -> Credentials | None:
    unreadable = ""
    try:
        tutum_file = read_text(os.path.join(known.get("HOME", ""), ".tutum"))
    except (FileNotFoundError, NotADirectoryError):
        tutum_file = ""
    except (OSError, ValueError) as problem:
        tutum_file = ""
        unreadable = f"~/.tutum: it can't be read: {getattr(problem, 'strerror', None) or 'it is no text'}"
    try:
        found = credentials.find(known, tutum_file)
    except ValueError as problem:
        mistakes += filter(None, [str(problem), credentials.half(known)])
        return None
    if found is None:
        missing = f"no credentials: set {credentials.VARIABLES}; or try --demo or --docker"
        mistakes += filter(None, [unreadable, credentials.half(known) or missing])
    return found


def _engines(known: Mapping[str, str], read_file: Read, mistakes: list[str]) -> tuple[Engine, ...]:
    try:
        return read_engines([], known, read_file)
    except SettingsError as wrong:
        mistakes += wrong.mistakes
        return ()


def _check_elsewhere(known: Mapping[str, str], parse_endpoint: Callable[[str], object], mistakes: list[str]) -> None:
    """What other rooms know better how to check."""
    for check in (load_trust, Proxies):
        try:
            check(known)
        except SettingsError as wrong:
            mistakes += wrong.mistakes
    listen = known.get("TUTUMSTREAM_LISTEN", LISTEN)
    if listen.lower() != "none" and (problem := listening.problem_with(listen, parse_endpoint)):
        mistakes.append(f"TUTUMSTREAM_LISTEN: {problem}")


def _words(error: Any) -> str:
    return str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
