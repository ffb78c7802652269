"""TLS to an engine: its name and chain are always checked, and we show our own certificate where we have one."""

from typing import Any

from OpenSSL import crypto
from twisted.internet import ssl
from twisted.internet.error import CertificateError, VerifyError

from tutumstream.gateway.docker.address import Certificates

_END = b"-----END CERTIFICATE-----"


def client_options(host: str, certificates: Certificates) -> Any:
    """For `wrapClientTLS`. Raises ValueError with what is wrong with the certificates, in words."""
    trust, own = _trust(certificates), _own(certificates)
    try:
        return ssl.optionsForClientTLS(host, trustRoot=trust, clientCertificate=own)
    except UnicodeError as problem:
        raise ValueError(f"no certificate can be for {host}: {problem}") from None


def _trust(certificates: Certificates) -> Any:
    if not certificates.ca:
        return ssl.platformTrust()
    parts = [part + _END for part in certificates.ca.split(_END)[:-1]]
    try:
        return ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(part.strip()) for part in parts] or _none())
    except (crypto.Error, ValueError):
        raise ValueError(f"ca.pem in {certificates.place} holds no certificate in PEM form, or a broken one") from None


def _none() -> Any:
    raise ValueError


def _own(certificates: Certificates) -> ssl.PrivateCertificate | None:
    if not certificates.own:
        return None
    if b"ENCRYPTED" in certificates.own:
        # OpenSSL would ask for the password at the terminal, and wait.
        raise ValueError(f"key.pem in {certificates.place} has a password: a key without one is needed")
    try:
        own: ssl.PrivateCertificate = ssl.PrivateCertificate.loadPEM(certificates.own)
    except VerifyError:
        raise ValueError(f"cert.pem and key.pem in {certificates.place} do not belong together") from None
    except (crypto.Error, ValueError, CertificateError, TypeError):
        where = f"cert.pem and key.pem in {certificates.place}"
        raise ValueError(f"{where} can't be used: PEM form is needed") from None
    return own
