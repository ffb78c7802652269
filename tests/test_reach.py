from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectingCancelledError, ConnectionRefusedError, DNSLookupError, TimeoutError
from twisted.internet.interfaces import IHostnameResolver, IProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tutumstream.reach import by_name, host_name, why_not_public

V4 = IPv4Address("TCP", "10.0.0.5", 2375)
V6 = IPv6Address("TCP", "fd00::5", 2375)


@implementer(IHostnameResolver)
class Resolver:
    """Knows some addresses for every name, or fails; tells them when `tell` is called."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.asked: list[str] = []
        self._problem = problem

    def resolveHostName(self, receiver: Any, name: str, *_: object, **_named: object) -> None:
        self.asked.append(name)
        if self._problem:
            raise self._problem
        receiver.resolutionBegan(self)
        self._receiver = receiver

    def tell(self, *addresses: IPv4Address | IPv6Address) -> None:
        for address in addresses:
            self._receiver.addressResolved(address)
        self._receiver.resolutionComplete()


class NamesOfHosts(SynchronousTestCase):
    def test_are_looked_up_in_ascii(self) -> None:
        for name, plain in (("bücher.example", "xn--bcher-kva.example"), ("my_db", "my_db"), ("::1", "::1")):
            self.assertEqual(host_name(name), plain)

    def test_have_labels_of_1_to_63_letters_and_253_in_all(self) -> None:
        for name in ("", "a..b", ".a", "x" * 64, "ü" * 80, "long." * 50 + "h.e.x.y"):
            self.assertRaises(ValueError, host_name, name)

    def test_are_public_or_idna_says_why_not(self) -> None:
        for name in ("h.example", "h.example.", "10.0.0.5", "::1", "xn--bcher-kva.example"):
            self.assertEqual(why_not_public(name), "")
        for name, why in (("my--es", "3rd and 4th"), ("es-", "hyphen"), ("web.1-", "hyphen"), ("a_b", "'a_b'")):
            self.assertIn(why, why_not_public(name))


class AWayByName(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.resolver = self.reactor.nameResolver = Resolver()

    def connect(self, host: str = "my--es") -> Deferred[IProtocol]:
        return by_name(self.reactor, host, 2375, 4.0).connect(Factory.forProtocol(Protocol))

    def dialled(self) -> list[tuple[Any, ...]]:
        return [(host, port, timeout) for host, port, _, timeout, _ in self.reactor.tcpClients]

    def refuse(self) -> None:
        self.reactor.tcpClients[-1][2].clientConnectionFailed(None, Failure(ConnectionRefusedError()))

    def test_tries_all_addresses_of_a_name_and_of_those_that_answer_takes_the_first(self) -> None:
        for host in ("docker.example", "10.0.0.5", "::1"):
            self.assertIsInstance(by_name(self.reactor, host, 2375, 4.0), HostnameEndpoint)
        self.connect("docker.example")
        self.resolver.tell(V4)
        self.assertEqual(self.dialled(), [("10.0.0.5", 2375, 4.0)])

    def test_leads_to_names_too_that_only_a_docker_network_has(self) -> None:
        for host in ("socket_proxy", "my--es", "es-", "web.1-"):
            for address in (V4, V6):
                connected = self.connect(host)
                self.resolver.tell(address)
                self.assertEqual(self.dialled().pop(), (address.host, 2375, 4.0))
                protocol = self.reactor.tcpClients[-1][2].buildProtocol(address)
                protocol.makeConnection(None)
                self.assertIsInstance(self.successResultOf(connected), Protocol)
            self.assertEqual(self.resolver.asked[-1], host)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_of_such_a_name_takes_one_address_after_the_other(self) -> None:
        connected = self.connect()
        self.resolver.tell(V6, V4)
        self.assertEqual(self.dialled(), [("fd00::5", 2375, 2.0)])
        self.refuse()
        self.assertEqual(self.dialled()[1:], [("10.0.0.5", 2375, 2.0)])
        self.refuse()
        self.failureResultOf(connected, ConnectionRefusedError)

    def test_says_that_such_a_name_is_not_known(self) -> None:
        connected = self.connect()
        self.resolver.tell()
        self.assertIn("my--es", str(self.failureResultOf(connected, DNSLookupError).value))

    def test_asks_the_resolver_for_nothing_that_it_would_choke_on(self) -> None:
        self.failureResultOf(self.connect("a_b..c"), DNSLookupError)
        self.assertEqual(self.resolver.asked, [])
        self.reactor.nameResolver = Resolver(UnicodeError("label too long"))
        self.failureResultOf(self.connect(), DNSLookupError)

    def test_has_one_time_for_looking_up_and_connecting(self) -> None:
        connected = self.connect()
        self.reactor.advance(3.0)
        self.resolver.tell(V4)
        self.reactor.advance(1.0)
        self.failureResultOf(connected, TimeoutError)
        connected = self.connect()
        self.reactor.advance(4.0)
        self.failureResultOf(connected, TimeoutError)
        self.resolver.tell(V4)
        self.assertEqual(len(self.dialled()), 1)

    def test_can_be_given_up(self) -> None:
        connected = self.connect()
        connected.cancel()
        self.failureResultOf(connected, CancelledError)
        connected = self.connect()
        self.resolver.tell(V6, V4)
        connected.cancel()
        self.failureResultOf(connected, ConnectingCancelledError)
        self.assertEqual(self.dialled(), [("fd00::5", 2375, 2.0)])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
