from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.net.agent import agent, pool
from tutumstream.net.proxy import Proxies


class AgentTests(SynchronousTestCase):
    def dialled(self, environ: dict[str, str]) -> int:
        reactor = MemoryReactorClock()
        # This reactor finds 127.0.0.1 for every name: the ports tell them apart.
        speaks = agent(reactor, Proxies(environ), None, pool(reactor))
        speaks.request(b"GET", b"http://127.0.0.1:8080/")
        port: int = reactor.tcpClients[0][1]
        return port

    def test_without_a_proxy_the_host_itself_is_dialled(self) -> None:
        self.assertEqual(self.dialled({}), 8080)

    def test_with_a_proxy_only_the_proxy_is_dialled(self) -> None:
        self.assertEqual(self.dialled({"HTTP_PROXY": "http://127.0.0.1:3128"}), 3128)
