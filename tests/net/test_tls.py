import errno
from pathlib import Path
from tempfile import TemporaryDirectory

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.internet import error
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import RequestTransmissionFailed, ResponseFailed, ResponseNeverReceived

from tests.net.certificates import pem, secured
from tests.net.servers import Says, answering
from tests.net.wire import Network
from tutumstream.errors import ExchangeError, SettingsError
from tutumstream.net.tls import load_trust, words


class TrustTests(SynchronousTestCase):
    way = "treq"

    def write(self, content: bytes) -> str:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name, "bundle.pem")
        path.write_bytes(content)
        return str(path)

    def mistake(self, name: str) -> str:
        mistakes = self.assertRaises(SettingsError, load_trust, {"SSL_CERT_FILE": name}).mistakes
        self.assertEqual(len(mistakes), 1)
        self.assertTrue(mistakes[0].startswith("SSL_CERT_FILE: "))
        self.assertIn(name, mistakes[0])
        return mistakes[0]

    def exchange(self, url: str, trust: object, host: str = "sink.example", name: str = "one") -> object:
        network = Network()
        served = Factory.forProtocol(lambda: answering("200 OK", b"ok", length=2))
        network.host("sink.example:443", secured(served, network.clock, host, name))
        exchanged = network.client(trust=trust, way=self.way).exchange("GET", url)
        network.settle()
        network.kept.closeCachedConnections()
        return exchanged

    def test_a_bundle_may_hold_several_authorities_and_words_between_them(self) -> None:
        bundle = self.write(b"# one\n" + pem("one") + b"\n# two\n" + pem("two"))
        trust = load_trust({"SSL_CERT_FILE": bundle})
        for name in ("one", "two"):
            answer = self.successResultOf(self.exchange("https://sink.example/", trust, name=name))
            self.assertEqual(answer.body, b"ok")

    def test_without_the_variable_the_platform_is_trusted(self) -> None:
        for environ in ({}, {"SSL_CERT_FILE": ""}):
            problem = self.failureResultOf(self.exchange("https://sink.example/", load_trust(environ)), ExchangeError)
            self.assertIn("not signed by an authority we trust", str(problem.value))

    def test_a_certificate_by_another_authority_is_refused_with_the_way_out(self) -> None:
        trust = load_trust({"SSL_CERT_FILE": self.write(pem("one"))})
        problem = self.failureResultOf(self.exchange("https://sink.example/", trust, name="two"), ExchangeError)
        self.assertIn("https://sink.example: its certificate is not signed by", str(problem.value))
        self.assertIn("SSL_CERT_FILE", str(problem.value))

    def test_a_certificate_for_another_name_is_refused_in_words(self) -> None:
        trust = load_trust({"SSL_CERT_FILE": self.write(pem("one"))})
        exchanged = self.exchange("https://sink.example/", trust, host="other.example")
        problem = self.failureResultOf(exchanged, ExchangeError).value
        self.assertEqual(str(problem), "https://sink.example: its certificate is not valid for this name")

    def test_a_server_that_speaks_no_tls_is_told_as_such(self) -> None:
        network = Network()
        network.host("sink.example:443", Factory.forProtocol(lambda: Says(b"HTTP/1.1 400 Bad Request\r\n\r\n")))
        exchanged = network.client(way=self.way).exchange("GET", "https://sink.example/")
        network.settle()
        problem = self.failureResultOf(exchanged, ExchangeError).value
        self.assertEqual(str(problem), "https://sink.example: it does not speak TLS")

    def test_a_tls_body_that_hangs_is_closed_though_the_peer_says_no_goodbye(self) -> None:
        network = Network()
        served = Factory.forProtocol(lambda: answering("200 OK", b"some", length=100))
        network.host("sink.example:443", secured(served, network.clock, "sink.example"))
        trust = load_trust({"SSL_CERT_FILE": self.write(pem("one"))})
        exchanged = network.client(trust=trust, way=self.way).exchange("GET", "https://sink.example/")
        network.settle()
        network.settle(10.1)
        self.failureResultOf(exchanged, ExchangeError)
        self.assertEqual(network.open_connections(), 0)

    def test_a_missing_file_is_a_mistake_that_names_it(self) -> None:
        self.assertIn("can't be read (No such file or directory)", self.mistake("/nowhere/bundle.pem"))

    def test_a_file_without_certificates_is_a_mistake(self) -> None:
        self.assertIn("holds no certificate", self.mistake(self.write(b"-----BEGIN PRIVATE KEY-----")))

    def test_a_broken_certificate_is_a_mistake_with_its_number(self) -> None:
        broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        self.assertIn("certificate 2 in", self.mistake(self.write(pem("one") + broken)))


class FastClientTrustTests(TrustTests):
    way = "fast"


class FastAgentTrustTests(TrustTests):
    way = "agent"


class WordsTests(SynchronousTestCase):
    def test_every_known_trouble_has_its_words(self) -> None:
        for problem, expected in (
            (error.DNSLookupError("x"), "its name could not be looked up"),
            (error.UnknownHostError(), "its name could not be looked up"),
            (error.ConnectionRefusedError(), "it refused the connection"),
            (error.NoRouteError(), "there is no route to it"),
            (error.TimeoutError(), "it did not answer in time"),
            (error.TCPTimedOutError(), "it did not answer in time"),
            (DeferredTimeoutError(), "it did not answer in time"),
            (error.ConnectionDone(), "it closed the connection"),
            (error.ConnectionLost(), "the connection was cut"),
            (error.ConnectionAborted(), "the connection was cut"),
            (VerificationError(errors=[]), "its certificate is not valid for this name"),
            (CertificateError("x"), "its certificate says for no name at all what it is valid for"),
            (error.ConnectError(errno.ENETUNREACH), "it could not be reached (Network is unreachable)"),
            (OSError(errno.EACCES, "secret"), "it could not be reached (Permission denied)"),
            (ExchangeError("http://x", "as it says"), "as it says"),
            (KeyError("secret"), "the exchange failed (KeyError)"),
            (ResponseFailed([Failure(ValueError("secret"))]), "its answer is not valid HTTP"),
            (ResponseFailed([Failure(error.ConnectionDone())]), "it closed the connection"),
        ):
            self.assertEqual(words(problem), expected)
            self.assertEqual(words(Failure(problem)), expected)

    def test_openssls_reasons_become_words(self) -> None:
        for reason, expected in (
            ("certificate verify failed", "SSL_CERT_FILE"),
            ("tlsv1 alert protocol version", "no TLS version that we speak"),
            ("unsupported protocol", "no TLS version that we speak"),
            ("wrong version number", "does not speak TLS"),
            ("tlsv13 alert certificate required", "client certificate"),
            ("sslv3 alert handshake failure", "refused the TLS handshake"),
            ("some new reason", "TLS failed (some new reason)"),
        ):
            self.assertIn(expected, words(SSL.Error([("SSL routines", "", reason)])))

    def test_openssls_errors_without_a_reason_have_words_too(self) -> None:
        for problem in (SSL.Error(), SSL.Error([]), SSL.Error("text"), SSL.SysCallError(-1, "Unexpected EOF")):
            self.assertEqual(words(problem), "TLS failed (no reason given)")

    def test_the_reason_inside_of_an_http_failure_is_what_counts(self) -> None:
        for wrapper in (ResponseNeverReceived, RequestTransmissionFailed):
            problem = wrapper([Failure(error.ConnectionRefusedError())])
            self.assertEqual(words(problem), "it refused the connection")
