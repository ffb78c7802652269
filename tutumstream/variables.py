"""The environment as text: which variables count, secrets from files, and what can be no value at all. Pure."""

import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Final

SECRETS: Final = (
    "TUTUM_TOKEN",
    "TUTUM_APIKEY",
    "TUTUM_PASS",
    "TUTUM_AUTH",
    "SLACK_URL",
    "PAGERDUTY_KEY",
    "WEBHOOK_URL",
    "WEBHOOK_SECRET",
    "ELASTICSEARCH_URL",
    "ELASTICSEARCH_API_KEY",
)
"""Each of these also comes from a file named by `<VARIABLE>_FILE`."""

_PREFIXES: Final = ("TUTUM", "SLACK", "PAGERDUTY", "WEBHOOK", "ELASTICSEARCH", "DOCKER_", "STATE_", "SSL_")

_OURS: Final = re.compile(
    r"(TUTUM|SLACK_|PAGERDUTY_|WEBHOOK_|ELASTICSEARCH_)\w*|DOCKER_\w+|STATE_DIRECTORY|SSL_CERT_FILE"
    r"|(https|http|no)_proxy|(HTTPS|HTTP|NO)_PROXY"
)

_OF_A_DEMO: Final = ("TUTUMSTREAM_LISTEN", "TUTUMSTREAM_LOG_FORMAT", "TUTUMSTREAM_LOG_LEVEL", "WATCHDOG_USEC")

_ALIKE: Final = 0.87
"""By difflib: a letter too few, too many or elsewhere; less is some other program's variable."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

_MARK: Final = "\ufeff"

TEXT: Final = "utf-8-sig"
"""How a file of text is read: UTF-8, without the mark that some editors begin it with and none shows."""

ReadText = Callable[[str], str]
"""Reads a file as `TEXT`; raises OSError or UnicodeDecodeError."""


def that_count(environment: Mapping[str, str], source: str) -> dict[str, str]:
    """The variables that are set, but for those that mean nothing to this source: nobody's mistakes may stop it.

    A demo must run on every machine, so it knows next to none; and with an engine there is no Tutum to be named.
    """
    found = {name: value for name, value in environment.items() if value.strip()}
    if source == "demo":
        return {name: found[name] for name in _OF_A_DEMO if name in found}
    if source == "docker":
        return {name: value for name, value in found.items() if not name.startswith("TUTUM_")}
    return found


def from_files(known: Mapping[str, str], read_text: ReadText, mistakes: list[str]) -> dict[str, str]:
    """Secrets from the files that `<VARIABLE>_FILE` names."""
    found: dict[str, str] = {}
    for name in SECRETS:
        path = known.get(f"{name}_FILE")
        if path is None:
            continue
        if name in known:
            mistakes.append(f"{name} and {name}_FILE: set only one of them")
            continue
        try:
            text = read_text(path).strip()
        except (OSError, ValueError) as problem:
            mistakes.append(f"{name}_FILE: {path} can't be read: {_reason(problem)}")
            continue
        if not text:
            mistakes.append(f"{name}_FILE: {path} is empty")
        found[name] = text
    return found


def unfit(known: Mapping[str, str]) -> list[str]:
    """Mistakes in what can't be a value of ours, whatever it is for.

    A line's end would begin a header of its own wherever the value is sent.
    """
    found = []
    for name, value in known.items():
        if not _OURS.fullmatch(name):
            continue
        if not _is_text(value):
            found.append(f"{name}: it is not UTF-8 text")
        elif value.startswith(_MARK):
            found.append(f"{name}: it begins with a byte order mark, which no editor shows: leave it out")
        elif name != "WEBHOOK_SECRET" and _CONTROL.search(value):
            found.append(f"{name}: it holds a line's end or another control character")
    return found


def slips(known: Mapping[str, str], names: Collection[str]) -> list[str]:
    """Variables that are nearly ours, where ours are not set: whoever meant them is told nothing else.

    Args:
        names: of all that mean something.
    """
    unset = [name for name in names if name not in known]
    found = []
    for name in sorted(known):
        if name in names or not name.startswith(_PREFIXES):
            continue
        plain = name.removesuffix("_FILE")
        if plain in names:
            found.append(f"{name} means nothing here, for no secret is in it; {plain} itself would")
        elif alike := get_close_matches(name, unset, 1, _ALIKE):
            found.append(f"{name} means nothing here; {alike[0]} would")
    return found


def _is_text(value: str) -> bool:
    """Bytes that are no UTF-8 come as lone surrogates (PEP 383)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _reason(problem: OSError | ValueError) -> str:
    if isinstance(problem, OSError):
        return problem.strerror or "an input/output error"
    return "it is not UTF-8 text" if isinstance(problem, UnicodeDecodeError) else "that is no file's name"
