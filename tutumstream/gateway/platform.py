"""What stands behind the gateway: anything that has objects in Tutum's shape and says when they change.

The scenario (scripted) and Docker (real) are two of them; the server half knows only this page.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

KINDS: Final = ("stack", "service", "container", "nodecluster", "node", "action")
"""The objects that have events; each is a REST collection of the same name."""

Resource = Mapping[str, Any]
"""One object as the REST API shows it: protocol B4, JSON values only, `uuid` and `resource_uri` always there."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the stream: Tutum's five keys, none ever missing or null (protocol A5)."""

    type: str
    action: str
    state: str
    resource_uri: str
    parents: tuple[str, ...] = ()


Listener = Callable[[Change], None]


class IPlatform(Interface):
    """Objects and their changes. A change is told after `get` and `list` show it, never before."""

    synced: bool = Attribute("False until the objects are known; the REST API answers 503 meanwhile.")

    def start() -> Deferred[None]:
        """Begin. Fires when `synced` first became true; fails with a clear error where it never can."""

    def stop() -> Deferred[None]:
        """End, and let go of everything. Harmless when not started."""

    def subscribe(listener: Listener) -> Callable[[], None]:
        """Tell every change from now on, in order; the function returned ends it. Listeners must not block or raise."""

    def list(kind: str) -> Sequence[Resource]:
        """All objects of a kind, in a stable order; terminated ones for a short time too. [] for an unknown kind."""

    def get(kind: str, uuid: str) -> Resource | None:
        """One object, None where there is none."""
