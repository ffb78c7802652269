"""Authorities and servers for tests of TLS."""

from functools import cache

import trustme
from twisted.internet import ssl
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.protocols.tls import TLSMemoryBIOFactory


@cache
def authority(_name: str = "one") -> trustme.CA:
    """A certificate authority of its own for each name; made once, keys are slow."""
    return trustme.CA()


def pem(*names: str) -> bytes:
    """The certificates of these authorities, one after the other."""
    return b"".join(authority(name).cert_pem.bytes() for name in names)


def secured(served: IProtocolFactory, clock: IReactorTime, host: str, name: str = "one") -> IProtocolFactory:
    """The same server behind TLS, with a certificate for this host by that authority."""
    issued = authority(name).issue_cert(host)
    both = issued.private_key_pem.bytes() + b"".join(one.bytes() for one in issued.cert_chain_pems)
    return TLSMemoryBIOFactory(ssl.PrivateCertificate.loadPEM(both).options(), False, served, clock)
