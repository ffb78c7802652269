"""The dead letters of a service that runs, through its API."""

import re
from typing import Final, TypeVar
from urllib.parse import quote, urlencode

import click
import msgspec

from tutumstream.cli.wire import Ask
from tutumstream.operators.letters import Chosen, Filter, Found, Listing, Page, Shown, Step

API: Final = "/api/v1/dead-letters/"

_NUMBERED: Final = re.compile(r"-[0-9]+\Z")
"""How the id of a delivery ends, `<event id>-<n>`."""

T = TypeVar("T")


class _Mistake(msgspec.Struct):
    error: str


class AskedOfService:
    """The service does it.

    Args:
        place: where it listens, for messages.
        ask: the way there.
    """

    when = "taken up again"

    def __init__(self, place: str, ask: Ask) -> None:
        self._place = place
        self._ask = ask

    def page(self, listing: Listing) -> Page:
        """A part of a listing."""
        return self._get(_query("", listing), Page)

    def find(self, wanted: Filter) -> Found:
        """The seqs of all that are meant, as far as one step looks."""
        return self._get(_query("find/", wanted), Found)

    def show(self, letter_id: str) -> Shown | None:
        """One letter with its message; None where there is none."""
        if not _NUMBERED.search(letter_id):
            # Its path would be that of something else.
            return None
        status, body = self._ask("GET", f"{API}{quote(letter_id, safe='')}/", None)
        if status == 404 and self._problem(body):
            return None
        return self._read(status, body, Shown)

    def retry(self, chosen: Chosen) -> Step:
        """One step of retrying."""
        return self._read(*self._ask("POST", f"{API}retry/", msgspec.json.encode(chosen)), Step)

    def drop(self, chosen: Chosen) -> Step:
        """One step of dropping."""
        return self._read(*self._ask("POST", f"{API}drop/", msgspec.json.encode(chosen)), Step)

    def _get(self, path: str, shape: type[T]) -> T:
        return self._read(*self._ask("GET", path, None), shape)

    def _read(self, status: int, body: bytes, shape: type[T]) -> T:
        if status != 200:
            problem = self._problem(body) or f"it answered {status}: is that a tutumstream of this version?"
            raise click.ClickException(f"{self._place}: {problem}")
        try:
            return msgspec.json.decode(body, type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
            words = f"its answer is not understood ({problem}): is that a tutumstream of this version?"
            raise click.ClickException(f"{self._place}: {words}") from problem

    def _problem(self, body: bytes) -> str:
        """What it says is wrong; "" where it does not speak our way."""
        try:
            return msgspec.json.decode(body, type=_Mistake).error
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return ""


def _query(path: str, wanted: Filter) -> str:
    given = {name: value for name, value in msgspec.to_builtins(wanted).items() if value not in ("", None)}
    return f"{API}{path}?{urlencode(given)}"
