from twisted.trial.unittest import SynchronousTestCase

from tests.contracts_exchanges import URL, ExchangesContract
from tests.contracts_misbehaving import MisbehavingServersContract
from tests.net.servers import answering


class HttpTests(ExchangesContract, SynchronousTestCase):
    way = "treq"

    def test_what_is_no_gzip_though_it_says_so_makes_no_body(self) -> None:
        self.serve(answering("200 OK\r\nContent-Encoding: gzip", b"no gzip at all", length=14))
        self.assertEqual(self.successResultOf(self.exchange("GET", URL)).body, b"")


class MisbehavingServersTests(MisbehavingServersContract, SynchronousTestCase):
    way = "treq"
