"""Who we are to Tutum: every form of protocol A2 and C, in its order of precedence. Pure."""

import base64
import configparser
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlencode

T = TypeVar("T")

_UNSENDABLE: Final = re.compile(r"[^\x20-\x7e]")

VARIABLES: Final = "TUTUM_USERNAME and TUTUM_TOKEN (or TUTUM_USER and TUTUM_APIKEY), or TUTUM_AUTH"


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """One way to prove who we are.

    Attributes:
        authorization: the whole value of an `Authorization` header.
        query: the same for a server that only knows the tutorial's way: `user=…&token=…` or `auth=…`.
    """

    authorization: str
    query: str

    def __repr__(self) -> str:
        return "Credentials(…)"

    @property
    def account(self) -> str:
        """Whose they are, "" where they don't say."""
        scheme, _, rest = self.authorization.partition(" ")
        if scheme.lower() == "basic":
            try:
                rest = base64.b64decode(rest).decode("utf-8", "replace")
            except ValueError:
                return ""
        return rest.partition(":")[0] if ":" in rest else ""


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
        return _named("TUTUM_AUTH", of_header, header)
    user = environment.get("TUTUM_USERNAME") or environment.get("TUTUM_USER")
    for name in ("TUTUM_TOKEN", "TUTUM_APIKEY", "TUTUM_PASS"):
        if user and (key := environment.get(name)):
            return _named(name, of_user, user, key)
    return _named("~/.tutum", _of_file, tutum_file)


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
        return None
    if pair := section.get("basic_auth"):
        return of_header(f"Basic {pair}")
    if section.get("user") and section.get("apikey"):
        return of_user(section["user"], section["apikey"])
    return None
