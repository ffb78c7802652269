from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.reach import by_name


class AWayByName(SynchronousTestCase):
    def way(self, host: str) -> tuple[IStreamClientEndpoint, MemoryReactorClock]:
        reactor = MemoryReactorClock()
        return by_name(reactor, host, 2375, 4.0), reactor

    def test_tries_all_addresses_of_a_name_and_of_those_that_answer_takes_the_first(self) -> None:
        for host in ("docker.example", "10.0.0.5", "::1"):
            self.assertIsInstance(self.way(host)[0], HostnameEndpoint)

    def test_leads_to_names_too_that_only_a_docker_network_has(self) -> None:
        way, reactor = self.way("socket_proxy")
        way.connect(Factory())
        ((host, port, _, timeout, _),) = reactor.tcpClients
        self.assertEqual((host, port, timeout), ("socket_proxy", 2375, 4.0))
