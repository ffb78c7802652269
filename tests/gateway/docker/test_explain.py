"""What goes wrong on the way to an engine; that of a socket and of a network is in `test_client.py`, as it is told."""

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectingCancelledError, ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseFailed, ResponseNeverReceived

from tutumstream.gateway.docker.explain import explain, was_cancelled
from tutumstream.gateway.docker.ssh import SshEndedError
from tutumstream.gateway.docker.transport import TooLargeError


def tls(words: str) -> SSL.Error:
    return SSL.Error([("SSL routines", "", words)])


class Trouble(SynchronousTestCase):
    def test_with_tls_names_what_to_look_at_however_it_comes(self) -> None:
        for words, advice in (
            ("certificate verify failed", "is ca.pem the authority"),
            ("wrong version number", "unset DOCKER_TLS_VERIFY"),
            ("tlsv13 alert certificate required", "check cert.pem and key.pem"),
            ("something else", "TLS failed (something else)"),
        ):
            for problem in (tls(words), ResponseNeverReceived([Failure(ConnectionLost()), Failure(tls(words))])):
                self.assertIn(advice, explain(problem, over_network=True))
        for problem in (SSL.Error(), SSL.Error([()])):
            self.assertEqual(explain(problem), "TLS failed")

    def test_with_the_name_in_a_certificate_says_so(self) -> None:
        for problem in (VerificationError([]), CertificateError()):
            for came in (problem, ResponseNeverReceived([Failure(problem)])):
                self.assertIn("its certificate is not for the host in its URL", explain(came, over_network=True))

    def test_with_ssh_is_told_in_its_own_words(self) -> None:
        ended = SshEndedError("Host key verification failed")
        self.assertEqual(explain(ResponseFailed([Failure(ended)])), ended.words)

    def test_with_what_is_too_long_says_so(self) -> None:
        self.assertEqual(explain(TooLargeError("5 bytes")), "its answer is too large: 5 bytes")

    def test_that_is_our_own_wish_is_none(self) -> None:
        for problem in (CancelledError(), ConnectingCancelledError(None), ResponseFailed([Failure(CancelledError())])):
            self.assertTrue(was_cancelled(problem))
        for other in (ValueError(), ResponseFailed([Failure(ConnectionLost())]), ResponseFailed(["odd"])):
            self.assertFalse(was_cancelled(other))
