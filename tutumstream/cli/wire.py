"""One HTTP request to the service, over TCP, TLS or a UNIX socket.

A command does one thing after the other and ends, so it waits where it stands, without a reactor. The proxies of the
environment are for the world outside and not asked.
"""

import socket
import ssl
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection, InvalidURL
from typing import Final

import click

from tutumstream.cli.place import Place

PATIENCE: Final = 300.0
"""Seconds without a byte of the answer: to look for one id among a million letters takes a minute."""

CONNECTING: Final = 5.0
"""Seconds to be connected, TLS included."""

Ask = Callable[[str, str, bytes | None], tuple[int, bytes]]
"""Method, path and JSON in; status and body out."""

HEADERS: Final = {"Content-Type": "application/json", "X-Tutumstream": "1"}


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=CONNECTING)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connection(place: Place) -> HTTPConnection:
    if place.scheme == "unix":
        return _UnixConnection(place.host)
    if place.scheme == "https":
        return HTTPSConnection(place.host, place.port, timeout=CONNECTING)
    return HTTPConnection(place.host, place.port, timeout=CONNECTING)


def answers(place: Place) -> bool:
    """Whether anybody listens there.

    Raises:
        click.ClickException: that can't be found out.
    """
    try:
        with closing(_connection(place)) as connection:
            connection.connect()
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except (OSError, UnicodeError, InvalidURL) as problem:
        raise click.ClickException(f"{place} can't be reached: {_words(problem)}{_advice(place, problem)}") from problem
    return True


def asking(place: Place) -> Ask:
    """The way to ask there. It raises `click.ClickException` where no whole answer comes."""

    def ask(method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        connection = _connection(place)
        try:
            connection.connect()
            connection.sock.settimeout(PATIENCE)
            connection.request(method, path, body, HEADERS if body is not None else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException) as problem:
            raise click.ClickException(f"{place} gave no answer: {_words(problem)}") from problem
        finally:
            connection.close()

    return ask


def _advice(place: Place, problem: Exception) -> str:
    silent = isinstance(problem, TimeoutError | ssl.SSLEOFError) or "WRONG_VERSION" in str(problem)
    return "; does it speak TLS there, or is http:// meant?" if place.scheme == "https" and silent else ""


def _words(problem: Exception) -> str:
    if isinstance(problem, UnicodeError | InvalidURL):
        return "no host can be called so"
    return getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
