"""Who could read what goes over an endpoint. Pure: read from the endpoint's text, as the endpoint itself does not say.

What is not known here counts as readable.
"""

import re
from enum import Enum
from ipaddress import ip_address
from typing import Final

_SEPARATOR: Final = re.compile(r"(?<!\\):")


class Exposure(Enum):
    """What others see of the traffic."""

    LOCAL = "it does not leave this machine"
    ENCRYPTED = "it is encrypted"
    READABLE = "whoever is on the way can read it"


def exposure(endpoint: str) -> Exposure:
    """What a Twisted endpoint string (`tcp:8780:interface=127.0.0.1`) gives away."""
    kind, *fields = _SEPARATOR.split(endpoint)
    if kind.lower() == "haproxy":
        return exposure(":".join(fields))
    if kind.lower() == "unix":
        return Exposure.LOCAL
    if kind.lower() == "ssl":
        return Exposure.ENCRYPTED
    if kind.lower() in ("tcp", "tcp4", "tcp6") and _is_loopback(_interface(fields)):
        return Exposure.LOCAL
    return Exposure.READABLE


def _interface(fields: list[str]) -> str:
    """By its name, or in the second place."""
    positional = [field for field in fields if "=" not in field]
    named = dict(field.split("=", 1) for field in fields if "=" in field)
    found: str = named.get("interface", positional[1] if len(positional) > 1 else "")
    return found.replace("\\", "")


def _is_loopback(interface: str) -> bool:
    try:
        return ip_address(interface).is_loopback
    except ValueError:
        return interface == "localhost"
