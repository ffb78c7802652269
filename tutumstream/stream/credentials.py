"""Who we are to Tutum: every form of protocol A2 and C, in its order of precedence. Pure."""

import base64
import configparser
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar
from urllib.parse import quote, quote_plus, urlencode

T = TypeVar("T")

_UNSENDABLE: Final = re.compile(r"[^\x20-\x7e]")

_USERS: Final = ("TUTUM_USERNAME", "TUTUM_USER")
_KEYS: Final = ("TUTUM_TOKEN", "TUTUM_APIKEY", "TUTUM_PASS")

_PAIRS: Final = (("TUTUM_USERNAME", "TUTUM_TOKEN"), ("TUTUM_USER", "TUTUM_APIKEY"), ("TUTUM_USER", "TUTUM_PASS"))

NAMES: Final = (*_USERS, *_KEYS, "TUTUM_AUTH")

TELLING: Final = 12
"""Characters of a secret that can't be a word by chance."""

VARIABLES: Final = "TUTUM_USERNAME and TUTUM_TOKEN (or TUTUM_USER and TUTUM_APIKEY), or TUTUM_AUTH"


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """One way to prove who we are.

    Attributes:
        authorization: the whole value of an `Authorization` header.
        query: the same for a server that only knows the tutorial's way: `user=…&token=…` or `auth=…`.
        source: the variables, or the file, that they are from.
        passed_over: other variables that are set and count for nothing beside these.
    """

    authorization: str
    query: str
    source: str = field(default="", compare=False)
    passed_over: tuple[str, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        return "Credentials(…)"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What a server can't quote them without, in each way to write it. Short ones are left out: they could be
        words."""
        forms = {self.authorization.partition(" ")[2].rstrip("="), self._pair.partition(":")[2] or self._pair}
        forms |= {form for each in tuple(forms) for form in (quote(each, safe=""), quote_plus(each), quote(each))}
        telling = [each for each in forms if len(each) >= TELLING]
        return tuple(sorted(each for each in telling if not any(one in each for one in telling if one != each)))

    @property
    def account(self) -> str:
        """Whose they are, "" where they don't say."""
        return self._pair.partition(":")[0] if ":" in self._pair else ""

    @property
    def _pair(self) -> str:
        """What stands behind the scheme, in the clear."""
        scheme, _, value = self.authorization.partition(" ")
        if scheme.lower() == "basic":
            with suppress(ValueError):
                return base64.b64decode(value).decode("utf-8", "replace")
        return value


def of_user(user: str, key: str) -> Credentials:
    """An account and its API key (or password)."""
    pair = base64.b64encode(f"{user}:{key}".encode()).decode()
    return Credentials(f"Basic {pair}", urlencode({"user": user, "token": key}))


def of_header(value: str) -> Credentials:
    """A complete header value, scheme included, as TUTUM_AUTH holds it.

    Raises:
        ValueError: it can't stand in a header; the text holds nothing of it.
    """
    scheme, _, rest = value.strip().partition(" ")
    if not rest.strip():
        raise ValueError("a whole header value is wanted: a scheme and what belongs to it, `Basic …` or `ApiKey …`")
    # The command line's re-login stores the value with quotes round it (protocol A2, rule 2).
    whole = scheme + " " + rest.strip().strip('"')
    if _UNSENDABLE.search(whole):
        # A line's end would begin a header of its own.
        raise ValueError("a header holds one line of ASCII characters")
    return Credentials(whole, urlencode({"auth": whole}))


def find(environment: Mapping[str, str], tutum_file: str = "") -> Credentials | None:
    """The first of: TUTUM_AUTH, an account with its key, an account with its password, `~/.tutum`.

    Args:
        environment: variables; an empty one counts as not set.
        tutum_file: the text of `~/.tutum`, "" where there is none.

    Raises:
        ValueError: the first of them can't be sent; the text names it.
    """
    if header := environment.get("TUTUM_AUTH", "").strip().strip('"'):
        return _chosen(_named("TUTUM_AUTH", of_header, header), environment, "TUTUM_AUTH")
    users, keys = _given(environment)
    if users and keys:
        # Those that were meant for each other first.
        user, key = next((pair for pair in _PAIRS if all(map(environment.get, pair))), (users[0], keys[0]))
        if ":" in environment[user]:
            raise ValueError(f"{user}: the name of an account has no colon in it")
        made = _named(key, of_user, environment[user], environment[key])
        return _chosen(made, environment, user, key)
    of_file = _named("~/.tutum", _of_file, tutum_file)
    return None if of_file is None else _chosen(of_file, environment)


def half(environment: Mapping[str, str]) -> str:
    """What is missing where only a part of one form is set, "" where none is."""
    if environment.get("TUTUM_AUTH"):
        return ""
    users, keys = _given(environment)
    # What is wrong with a key's file is told on its own.
    if users and not keys and not any(environment.get(f"{name}_FILE") for name in _KEYS):
        return f"{users[0]}: there is no TUTUM_TOKEN (or TUTUM_APIKEY) to go with it"
    if keys and not users:
        return f"{keys[0]}: there is no TUTUM_USERNAME (or TUTUM_USER) to go with it"
    return ""


def _given(environment: Mapping[str, str]) -> tuple[list[str], list[str]]:
    users, keys = ([name for name in names if environment.get(name)] for names in (_USERS, _KEYS))
    return users, keys


def _chosen(found: Credentials, environment: Mapping[str, str], *used: str) -> Credentials:
    others = tuple(name for name in (*_USERS, *_KEYS) if environment.get(name) and name not in used)
    return replace(found, source=" and ".join(used) or "~/.tutum", passed_over=others)


def _named(source: str, make: Callable[..., T], *values: str) -> T:
    try:
        return make(*values)
    except UnicodeEncodeError:
        raise ValueError(f"{source}: it is not UTF-8 text") from None
    except ValueError as problem:
        raise ValueError(f"{source}: {problem}") from None


def _of_file(text: str) -> Credentials | None:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
        section = {name: value.strip().strip('"') for name, value in parser["auth"].items()}
    except (configparser.Error, KeyError):
        if text.strip():
            raise ValueError("it has no section [auth], as `tutum login` writes it") from None
        return None
    if pair := section.get("basic_auth"):
        return of_header(f"Basic {pair}")
    if section.get("user") and section.get("apikey"):
        return of_user(section["user"], section["apikey"])
    return None
