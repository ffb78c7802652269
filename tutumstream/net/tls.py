"""TLS as a client, and every trouble of a connection in words that say what to do."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from twisted.internet import error, ssl
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.python.failure import Failure
from twisted.web.client import RequestGenerationFailed, RequestTransmissionFailed, ResponseFailed
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from tutumstream.errors import ExchangeError, SettingsError

CERTIFICATES_VARIABLE = "SSL_CERT_FILE"

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

EXPECTED_TROUBLE = (
    error.ConnectError,
    error.ConnectionClosed,
    error.DNSLookupError,
    error.TimeoutError,
    DeferredTimeoutError,
    OSError,
    SSL.Error,
    VerificationError,
    CertificateError,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ExchangeError,
)
"""What a connection may end with when nobody made a mistake in this program."""

_SENTENCES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (error.DNSLookupError, "its name could not be looked up"),
    (error.UnknownHostError, "its name could not be looked up"),
    (error.ConnectionRefusedError, "it refused the connection"),
    (error.NoRouteError, "there is no route to it"),
    ((error.TimeoutError, error.TCPTimedOutError, DeferredTimeoutError), "it did not answer in time"),
    (error.ConnectionDone, "it closed the connection"),
    (error.ConnectionClosed, "the connection was cut"),
    (VerificationError, "its certificate is not valid for this name"),
    (CertificateError, "its certificate says for no name at all what it is valid for"),
)

_UNTRUSTED = (
    "its certificate is not signed by an authority we trust, or is out of date; "
    f"set {CERTIFICATES_VARIABLE} to a file with the right authorities"
)

# OpenSSL's reasons, as they come in pyOpenSSL's errors; lower case.
_TLS_SENTENCES = (
    ("certificate verify failed", _UNTRUSTED),
    ("alert protocol version", "it takes no TLS version that we speak"),
    ("unsupported protocol", "it takes no TLS version that we speak"),
    ("certificate required", "it asks for a client certificate"),
    ("handshake failure", "it refused the TLS handshake"),
    ("wrong version number", "it does not speak TLS"),
    ("packet length too long", "it does not speak TLS"),
    ("record layer failure", "it does not speak TLS"),
    ("http request", "it does not speak TLS"),
)


@implementer(IPolicyForHTTPS)
class VerifyingPolicy:
    """For Twisted's Agent: chain and name of every server are verified against one trust root."""

    def __init__(self, trust: Any) -> None:
        self._trust = trust

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:  # noqa: ARG002
        """What opens TLS to this host."""
        return client_options(hostname.decode("ascii"), self._trust)


def client_options(hostname: str, trust: Any) -> IOpenSSLClientConnectionCreator:
    """TLS to this host, its certificate's chain and name verified.

    Make it once for a host and keep it: every one holds an SSL context (Twisted ticket 12125).

    Args:
        trust: what `load_trust` gave.
    """
    creator: IOpenSSLClientConnectionCreator = ssl.optionsForClientTLS(hostname, trustRoot=trust)
    return creator


def load_trust(environ: Mapping[str, str]) -> Any:
    """The authorities we trust: those in the PEM file named by `SSL_CERT_FILE`, else the platform's.

    Returns:
        An `IOpenSSLTrustRoot`, which is opaque by design.

    Raises:
        SettingsError: the file can't be read or holds no certificate.
    """
    name = environ.get(CERTIFICATES_VARIABLE, "")
    if not name:
        return ssl.platformTrust()
    try:
        found = _CERTIFICATE.findall(Path(name).read_bytes())
    except OSError as problem:
        raise _broken(f"{name} can't be read ({problem.strerror})") from None
    if not found:
        raise _broken(f"{name} holds no certificate in PEM form")
    return ssl.trustRootFromCertificates(list(_loaded(name, found)))


def _loaded(name: str, found: Iterable[bytes]) -> Iterable[ssl.Certificate]:
    for number, pem in enumerate(found, start=1):
        try:
            yield ssl.Certificate.loadPEM(pem)
        except crypto.Error:
            raise _broken(f"certificate {number} in {name} is broken") from None


def _broken(problem: str) -> SettingsError:
    return SettingsError(
        [f"{CERTIFICATES_VARIABLE}: {problem}; name a PEM file of authorities, or unset it to use the platform's"]
    )


def words(trouble: Failure | BaseException, otherwise: str = "") -> str:
    """Why a connection or an exchange failed, in words that follow the peer's name.

    Never shows the text of an exception, which may hold an address: only what is known to be harmless.

    Args:
        otherwise: what to say of a trouble that nobody knows.
    """
    problem = trouble.value if isinstance(trouble, Failure) else trouble
    reasons = getattr(problem, "reasons", None)
    if reasons:
        # Twisted parses an answer with whatever errors Python has for that.
        return words(reasons[0], "its answer is not valid HTTP" if isinstance(problem, ResponseFailed) else "")
    if isinstance(problem, ExchangeError):
        return problem.problem
    for kind, sentence in _SENTENCES:
        if isinstance(problem, kind):
            return sentence
    if isinstance(problem, SSL.Error):
        return _tls_words(problem)
    number = getattr(problem, "osError", None) or getattr(problem, "errno", None)
    if isinstance(number, int):
        return f"it could not be reached ({os.strerror(number)})"
    return otherwise or f"the exchange failed ({type(problem).__name__})"


def _tls_words(problem: SSL.Error) -> str:
    queue = problem.args[0] if problem.args and isinstance(problem.args[0], list) else []
    reasons = [str(entry[-1]) for entry in queue if entry]
    said = " / ".join(reasons).lower()
    for mark, sentence in _TLS_SENTENCES:
        if mark in said:
            return sentence
    return f"TLS failed ({said[:120] or 'no reason given'})"
