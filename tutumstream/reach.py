"""TCP to a host by its name: which names can be looked up at all, and the way to any that the resolver knows; look-ups
that no stop waits for."""

import re
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Any, Final

import idna
from twisted.internet import error
from twisted.internet._resolver import GAIResolver
from twisted.internet.abstract import isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IProtocol, IResolutionReceiver, IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

_HOST_NAME = re.compile(r"(?=.{1,253}\.?$)[^.]{1,63}(\.[^.]{1,63})*\.?")
"""What the resolver takes at all (RFC 1035, 2.3.4); what is no name beyond that it says itself, and at once."""


MOST_LOOK_UPS: Final = 20
"""Names that are looked up at the same time."""


def look_up_apart(reactor: Any) -> None:
    """Let names be looked up in threads of their own, which end with the process, whatever they are at.

    Where nameservers swallow what they are asked, each look-up takes them up to half a minute. A stop would wait for
    the reactor's own threads, and there would be none left for anything else.

    Args:
        reactor: with pluggable name resolution.
    """
    threads = ThreadPool(0, MOST_LOOK_UPS, "names")
    threads.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]  # made like any other
    reactor.installNameResolver(GAIResolver(reactor, lambda: threads))
    reactor.callWhenRunning(threads.start)


def host_name(name: str) -> str:
    """A host's name as it is looked up, in ASCII; an address is left as it is.

    Raises:
        ValueError: no host can be called so.
    """
    try:
        plain = name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        plain = ""
    if not _HOST_NAME.fullmatch(plain):
        raise ValueError("no host can be called so")
    return plain


def why_not_public(host: str) -> str:
    """Why no host in the Internet, and so none with a certificate, can have this name, in IDNA's words.

    They may hold a label of the name. "" for a name that one can have, and for an address.
    """
    if not isIPv6Address(host):
        try:
            idna.encode(host)
        except UnicodeError as problem:
            return str(problem)
    return ""


def by_name(reactor: Any, host: str, port: int, timeout: float) -> IStreamClientEndpoint:
    """The way to any host that the resolver knows, the neighbours in a Docker network among them.

    Args:
        reactor: with TCP, time and name resolution.
        host: a name in ASCII, or an address.
        timeout: seconds until a connection must stand.
    """
    if why_not_public(host):
        # HostnameEndpoint refuses it unasked, but containers and Compose's services may be called `my_db`, `my--db`.
        return _OnlyResolved(reactor, host, port, timeout)
    return HostnameEndpoint(reactor, host, port, timeout=timeout)


@implementer(IStreamClientEndpoint)
class _OnlyResolved:
    """Asks the resolver whatever the name looks like, and tries the addresses in turn: in such networks they are few.

    Fails with DNSLookupError where there is none, with the last one's ConnectError where none can be reached.
    """

    def __init__(self, reactor: Any, host: str, port: int, timeout: float) -> None:
        self._reactor = reactor
        self._host = host
        self._port = port
        self._timeout = timeout

    def connect(self, factory: Any) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._connected(factory)).addTimeout(self._timeout, self._reactor, _late)

    async def _connected(self, factory: Any) -> IProtocol:
        *others, last = addresses = await self._resolved()
        # One that is silent leaves the others their time.
        share = self._timeout / len(addresses)
        for address in others:
            with suppress(error.ConnectError):
                return await self._to(address, share).connect(factory)
        return await self._to(last, share).connect(factory)

    async def _resolved(self) -> Sequence[Any]:
        found = _Found()
        try:
            # What can't be looked up would raise in the resolver's thread, and nobody would hear of it.
            self._reactor.nameResolver.resolveHostName(found, host_name(self._host), self._port)
        except ValueError:
            raise error.DNSLookupError(f"no host can be called {self._host}") from None
        await found.complete
        if not found.addresses:
            raise error.DNSLookupError(f"no address is known for {self._host}")
        return found.addresses

    def _to(self, address: IPv4Address | IPv6Address, timeout: float) -> IStreamClientEndpoint:
        endpoint = TCP6ClientEndpoint if isinstance(address, IPv6Address) else TCP4ClientEndpoint
        return endpoint(self._reactor, address.host, address.port, timeout)


@implementer(IResolutionReceiver)
class _Found:
    """The addresses of a name; `complete` fires when there will be no more."""

    def __init__(self) -> None:
        self.addresses: list[Any] = []
        self.complete: Deferred[None] = Deferred()

    def resolutionBegan(self, resolution: object) -> None:
        """The addresses are what counts."""

    def addressResolved(self, address: object) -> None:
        self.addresses.append(address)

    def resolutionComplete(self) -> None:
        self.complete.callback(None)


def _late(_: object, seconds: float) -> Failure:
    return Failure(error.TimeoutError(string=f"{seconds:g} seconds"))
