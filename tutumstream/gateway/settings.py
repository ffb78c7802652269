"""Options and environment of the gateway become one frozen value, read and checked in one go: every mistake at once."""

import errno
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from tutumstream import listening
from tutumstream.errors import SettingsError
from tutumstream.gateway.access import Credentials
from tutumstream.gateway.concealment import Concealment
from tutumstream.gateway.docker.engines import Engine, Read, read_engines
from tutumstream.gateway.exposure import Exposure, exposure
from tutumstream.gateway.gate import ANY_ORIGIN, host_of
from tutumstream.gateway.users import HashedKey, read_users
from tutumstream.whereabouts import state_dir

LISTEN: Final = "tcp:8780:interface=127.0.0.1"
TOKEN: Final = "TUTUM_TOKEN"  # noqa: S105  (the variable's name)

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warn", "error"]
Permission = Literal["logs", "control"]
PERMISSIONS: Final = ("logs", "control")


def _lower(value: object) -> object:
    return {"warning": "warn"}.get(value.lower(), value.lower()) if isinstance(value, str) else value


def _switch(value: object) -> object:
    words = {"on": True, "yes": True, "true": True, "1": True, "off": False, "no": False, "false": False, "0": False}
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    if isinstance(value, bool):
        return value
    raise ValueError("on or off")


Switch = Annotated[bool, BeforeValidator(_switch)]


class Variables(BaseModel):
    """The environment, typed. An empty variable counts as not set."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    TUTUMGATEWAY_LISTEN: str = LISTEN
    TUTUMGATEWAY_USERS: str = ""
    TUTUMGATEWAY_STATE_DIR: str = ""
    STATE_DIRECTORY: str = ""
    TUTUMGATEWAY_QUERY_AUTH: Switch = True
    TUTUMGATEWAY_WITHOUT_TLS: Switch = False
    TUTUMGATEWAY_HIDE_COMMANDS: Switch = False
    TUTUMGATEWAY_LOG_FORMAT: Annotated[LogFormat | None, BeforeValidator(_lower)] = None
    TUTUMGATEWAY_LOG_LEVEL: Annotated[LogLevel, BeforeValidator(_lower)] = "info"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway is to do.

    Attributes:
        listen: a Twisted endpoint string.
        scenario: the scripted platform instead of Docker.
        engines: none with the scenario, else one at least.
        users: accounts of the environment; `hashed` those of `users_file`.
        allow: what is served beyond looking.
        origins: hosts whose pages may use a browser's credentials.
        conceal: what of the objects is left out.
        state_dir: what is known stays here over a restart.
    """

    listen: str
    scenario: bool
    engines: tuple[Engine, ...]
    users: tuple[Credentials, ...]
    hashed: tuple[HashedKey, ...]
    users_file: str
    allow: frozenset[Permission]
    query_auth: bool
    origins: tuple[str, ...]
    conceal: Concealment
    state_dir: Path
    log_format: LogFormat | None
    log_level: LogLevel


def _from_disk(path: str) -> str:
    """UTF-8, without the mark that some editors begin it with and none shows."""
    return Path(path).read_text(encoding="utf-8-sig")


def read(
    options: Mapping[str, Any],
    environment: Mapping[str, str],
    parse_endpoint: Callable[[str], object],
    read_text: Callable[[str], str] = _from_disk,
    read_file: Read = lambda path: Path(path).read_bytes(),
) -> Settings:
    """Make settings of options and environment; an option beats its variable.

    Args:
        options: as `tap.Options` parsed them.
        environment: variables.
        parse_endpoint: checks a Twisted endpoint string; raises ValueError.
        read_text: reads the users' file and secrets' files; raises OSError.
        read_file: reads Docker's contexts and certificates; raises OSError.

    Raises:
        SettingsError: with every mistake.
    """
    mistakes: list[str] = []
    typed = {name: option for name, option in _OPTIONS.items() if options.get(option)}
    known = {name: value for name, value in environment.items() if value.strip()}
    known.update({name: _text(options[option]) for name, option in typed.items()})
    engines = _engines(options, known, read_file, mistakes)
    users = _users(known, read_text, mistakes)
    hashed = _hashed(known.get("TUTUMGATEWAY_USERS", ""), read_text, mistakes)
    if not users and not hashed and not mistakes:
        mistakes.append(
            "nobody may connect: name a file with --users (`tutumstream gateway-user NAME` makes its lines), "
            "or set TUTUM_USERNAME and TUTUM_TOKEN"
        )
    try:
        variables = Variables.model_validate(known)
    except ValidationError as problem:
        mistakes += [f"{error['loc'][0]}: {_words(error)}" for error in problem.errors(include_url=False)]
        # What is wrong was told; the rest is looked at all the same.
        variables = Variables()
    _check_listen(
        known.get("TUTUMGATEWAY_LISTEN", LISTEN), variables.TUTUMGATEWAY_WITHOUT_TLS, parse_endpoint, mistakes
    )
    allow = _allow(known.get("TUTUMGATEWAY_ALLOW", ""), mistakes)
    origins = _origins(known.get("TUTUMGATEWAY_ORIGINS", ""), mistakes)
    hidden = _pattern(known.get("TUTUMGATEWAY_HIDE_LABELS", ""), mistakes)
    if mistakes:
        raise SettingsError(_as_typed(mistakes, typed))
    return Settings(
        listen=variables.TUTUMGATEWAY_LISTEN,
        scenario=bool(options.get("scenario")),
        engines=engines,
        users=users,
        hashed=hashed,
        users_file=variables.TUTUMGATEWAY_USERS,
        allow=allow,
        query_auth=variables.TUTUMGATEWAY_QUERY_AUTH,
        origins=origins,
        conceal=Concealment(hidden, variables.TUTUMGATEWAY_HIDE_COMMANDS),
        state_dir=state_dir("tutumgateway", variables.TUTUMGATEWAY_STATE_DIR, variables.STATE_DIRECTORY),
        log_format=variables.TUTUMGATEWAY_LOG_FORMAT,
        log_level=variables.TUTUMGATEWAY_LOG_LEVEL,
    )


_OPTIONS: Final = {
    "TUTUMGATEWAY_LISTEN": "listen",
    "TUTUMGATEWAY_USERS": "users",
    "TUTUMGATEWAY_ALLOW": "allow",
    "TUTUMGATEWAY_STATE_DIR": "state-dir",
    "TUTUMGATEWAY_QUERY_AUTH": "query-auth",
    "TUTUMGATEWAY_WITHOUT_TLS": "without-tls",
    "TUTUMGATEWAY_ORIGINS": "origin",
    "TUTUMGATEWAY_HIDE_LABELS": "hide-labels",
    "TUTUMGATEWAY_HIDE_COMMANDS": "hide-commands",
    "TUTUMGATEWAY_LOG_FORMAT": "log-format",
    "TUTUMGATEWAY_LOG_LEVEL": "log-level",
}


def _text(value: object) -> str:
    """An option as its variable would be written."""
    if isinstance(value, str):
        return value
    return ",".join(value) if isinstance(value, list) else "on"


def _as_typed(mistakes: Sequence[str], typed: Mapping[str, str]) -> list[str]:
    """Each mistake under the name that was typed: the option where there is one."""
    return [
        f"--{typed[name]}{separator}{rest}" if name in typed else mistake
        for mistake in mistakes
        for name, separator, rest in [mistake.partition(":")]
    ]


def _engines(
    options: Mapping[str, Any], known: Mapping[str, str], read_file: Read, mistakes: list[str]
) -> tuple[Engine, ...]:
    named = options.get("engine") or []
    if options.get("scenario"):
        if named:
            mistakes.append("--scenario and --engine: choose one")
        return ()
    try:
        return read_engines(named, known, read_file)
    except SettingsError as problem:
        mistakes += problem.mistakes
        return ()


def _users(known: Mapping[str, str], read_text: Callable[[str], str], mistakes: list[str]) -> tuple[Credentials, ...]:
    user, token, path = known.get("TUTUM_USERNAME"), known.get(TOKEN), known.get(f"{TOKEN}_FILE")
    if token is not None and path is not None:
        mistakes.append(f"{TOKEN} and {TOKEN}_FILE: set only one of them")
        return ()
    if path is not None:
        try:
            token = read_text(path).strip()
        except (OSError, UnicodeDecodeError) as problem:
            mistakes.append(f"{TOKEN}_FILE: {path} can't be read: {_reason(problem)}")
            return ()
        if not token:
            mistakes.append(f"{TOKEN}_FILE: {path} is empty")
            return ()
    if user is None and token is None:
        return ()
    if user is None or token is None:
        mistakes.append(f"TUTUM_USERNAME and {TOKEN}: set both or none")
        return ()
    wrong = [
        f"{name}: it is not UTF-8 text" for name, value in (("TUTUM_USERNAME", user), (TOKEN, token)) if _odd(value)
    ]
    if ":" in user:
        wrong.append("TUTUM_USERNAME: a user's name has no colon")
    mistakes += wrong
    if wrong:
        return ()
    return (Credentials(user, token),)


def _odd(value: str) -> bool:
    """Whether it came as bytes that are no UTF-8: those are lone surrogates here (PEP 383)."""
    return any("\ud800" <= each <= "\udfff" for each in value)


def _again(path: str) -> str:
    """As `_from_disk`, but never waits for somebody to write it."""
    if Path(path).is_fifo():
        raise OSError(errno.ESPIPE, "it is a pipe, which can be read only once; name a file")
    return _from_disk(path)


def read_hashed(path: str, read_text: Callable[[str], str] = _again) -> tuple[HashedKey, ...]:
    """The accounts of a users' file that was read before; raises `SettingsError`."""
    mistakes: list[str] = []
    found = _hashed(path, read_text, mistakes)
    if mistakes:
        raise SettingsError([mistake.partition(": ")[2] for mistake in mistakes])
    return found


def _hashed(path: str, read_text: Callable[[str], str], mistakes: list[str]) -> tuple[HashedKey, ...]:
    if not path:
        return ()
    try:
        found, wrong = read_users(read_text(path))
    except (OSError, UnicodeDecodeError) as problem:
        mistakes.append(f"TUTUMGATEWAY_USERS: {path} can't be read: {_reason(problem)}")
        return ()
    mistakes += [f"TUTUMGATEWAY_USERS: {path}, {mistake}" for mistake in wrong]
    if not found and not wrong:
        mistakes.append(
            f"TUTUMGATEWAY_USERS: {path} names nobody; add the line that `tutumstream gateway-user NAME` prints"
        )
    return tuple(found)


def _check_listen(listen: str, without_tls: bool, parse_endpoint: Callable[[str], object], mistakes: list[str]) -> None:
    if wrong := listening.problem_with(listen, parse_endpoint, LISTEN):
        mistakes.append(f"TUTUMGATEWAY_LISTEN: {wrong}")
        return
    if exposure(listen) is Exposure.READABLE and not without_tls:
        mistakes.append(
            "TUTUMGATEWAY_LISTEN: API keys would cross the network unencrypted: use an ssl: endpoint, or an interface "
            "of this machine only (interface=127.0.0.1), or say --without-tls (TUTUMGATEWAY_WITHOUT_TLS=on) where "
            "something in front of it encrypts"
        )


def _allow(text: str, mistakes: list[str]) -> frozenset[Permission]:
    words = [word for word in re.split(r"[,\s]+", text.lower()) if word]
    unknown = sorted(set(words) - set(PERMISSIONS))
    if unknown:
        mistakes.append(f"TUTUMGATEWAY_ALLOW: {', '.join(unknown)}: there is only logs, and control")
    return frozenset(one for one in PERMISSIONS if one in words)


def _origins(text: str, mistakes: list[str]) -> tuple[str, ...]:
    found = []
    for word in (word for word in re.split(r"[,\s]+", text) if word):
        host = word if word == ANY_ORIGIN else host_of(word if "//" in word else f"//{word}")
        if host is None:
            mistakes.append(f"TUTUMGATEWAY_ORIGINS: {word!r} is no host; tutum.example.com and https://x:8443 are")
        elif re.search(
            r"[/?#@]", word.partition("//")[2].removesuffix("/") if "//" in word else word.removesuffix("/")
        ):
            mistakes.append(
                f"TUTUMGATEWAY_ORIGINS: {word!r}: browsers name a site by its host alone, so nothing else can be asked "
                f"for: say {host}"
            )
        else:
            found.append(host)
    return tuple(found)


def _pattern(text: str, mistakes: list[str]) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except (re.error, OverflowError, RecursionError) as problem:
        mistakes.append(f"TUTUMGATEWAY_HIDE_LABELS: {text!r} is no regular expression: {problem}")
        return None


def _reason(problem: OSError | UnicodeDecodeError) -> str:
    return problem.strerror or "an input/output error" if isinstance(problem, OSError) else "it is not UTF-8 text"


def _words(error: Any) -> str:
    return str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
