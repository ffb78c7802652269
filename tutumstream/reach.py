"""TCP to a host by its name."""

from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint


def by_name(reactor: Any, host: str, port: int, timeout: float) -> IStreamClientEndpoint:
    """The way to any host that the resolver knows, the neighbours in a Docker network among them.

    Args:
        reactor: with TCP and name resolution.
        host: a name in ASCII, or an address.
        timeout: seconds until a connection must stand.
    """
    if "_" in host:
        # No name in the Internet has one, so HostnameEndpoint refuses it; Compose's services have.
        return TCP4ClientEndpoint(reactor, host, port, timeout)
    return HostnameEndpoint(reactor, host, port, timeout=timeout)
