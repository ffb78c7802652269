"""Who may ask the API, as far as a request can show it. Pure.

There are no accounts: whoever reaches the address that the service listens on, this machine's loopback by default, is
its operator. What must be kept out is the operator's own browser doing what some web page tells it to:

* by a name of the page's own that leads to our address (DNS rebinding): `Host` must be this machine by a name that
  nobody else can give out, or the very address that the request came to;
* by a form or a script of another site: a change must come with a header that only a site's own scripts can add
  (https://fetch.spec.whatwg.org/#cors-safelisted-request-header), and with no foreign `Origin`.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

MARK: Final = "X-Tutumstream"
"""Every change must bring this header, with any value."""

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^\[\]:/@]+)(?::\d{1,5})?")


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a request says who sent it; None where a header is missing.

    Attributes:
        address: the address of ours that the request came to, "" for a UNIX socket.
    """

    method: str
    host: str | None
    origin: str | None
    marked: bool
    content_type: str | None
    address: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered: an HTTP status and words."""

    status: int
    problem: str


def refusal(asked: Asked) -> Refusal | None:
    """None where it may be answered."""
    if asked.host is None or not _is_us(asked.host, asked.address):
        return Refusal(
            403, "ask for this service by localhost or by the address that it listens on, not by another name"
        )
    if asked.origin is not None and asked.origin.lower() not in (
        f"http://{asked.host}".lower(),
        f"https://{asked.host}".lower(),
    ):
        return Refusal(403, "another site's page may not ask this")
    if asked.method in ("GET", "HEAD"):
        return None
    if not asked.marked:
        return Refusal(403, f"a change needs the header {MARK}: 1")
    if (asked.content_type or "").partition(";")[0].strip().lower() != "application/json":
        return Refusal(415, "a change is asked for in JSON: Content-Type: application/json")
    return None


def _is_us(host: str, address: str) -> bool:
    parsed = _HOST.fullmatch(host)
    if parsed is None:
        return False
    name = parsed["name"].strip("[]").lower().removesuffix(".")
    found = _ip(name)
    if found is None:
        return name == "localhost"
    return found.is_loopback or found == _ip(address)


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    # A socket for both families shows an IPv4 peer's address in this form.
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
