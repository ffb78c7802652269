"""What goes wrong on the way to an engine, in words that say what to do about it. Pure."""

import errno
from typing import Final

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.internet import defer, error
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed
from twisted.web.http import PotentialDataLoss

from tutumstream.event import escaped
from tutumstream.gateway.docker.ssh import SshEndedError
from tutumstream.gateway.docker.transport import TooLargeError

_OF_A_SOCKET: Final = {
    errno.ENOENT: "there is no such socket: is Docker installed and started? "
    "If it listens elsewhere, set DOCKER_HOST=unix:///path/to/docker.sock",
    errno.EACCES: "this user may not use the socket: add it to the group that owns the socket, mostly `docker` "
    "(whoever is in it is as good as root), or set DOCKER_HOST to the socket of a proxy that only lets GET through",
    errno.ECONNREFUSED: "nobody listens on the socket: start Docker, for example with `systemctl start docker`",
}

_OF_A_NETWORK: Final = {
    errno.ECONNREFUSED: "nobody listens there: check host and port in its URL, and that Docker, or the proxy in front "
    "of it, is started and listens on that port",
    errno.EHOSTUNREACH: "no way leads to that machine: check the host in its URL, and the network",
    errno.ENETUNREACH: "no way leads to that network: check the host in its URL, and the network",
}

_UNHEARD: Final = "it does not answer in time"

_NO_ENGINE: Final = "what answers there is no Docker Engine: check the path in DOCKER_HOST"
_NO_ENGINE_THERE: Final = (
    "what answers there is no Docker Engine, or one that wants TLS: check host and port in its URL; for TLS set "
    "DOCKER_CERT_PATH or DOCKER_TLS_VERIFY"
)


_TLS_ADVICE: Final = (
    (
        "certificate verify failed",
        "its certificate is not trusted: is ca.pem the authority that signed it, and is it still in date?",
    ),
    (
        "wrong version number",
        "it does not speak TLS there: unset DOCKER_TLS_VERIFY, DOCKER_CERT_PATH, or use another port",
    ),
    ("alert", "it refuses our certificate, or wants one: check cert.pem and key.pem"),
)


def _tls_words(problem: SSL.Error) -> str:
    said = " / ".join(str(entry[-1]) for entry in (problem.args[0] if problem.args else ()) if entry)
    advice = next((advice for mark, advice in _TLS_ADVICE if mark in said), "TLS failed")
    return f"{advice} ({escaped(said, 120)})" if said else f"{advice}"


_OTHER_NAME: Final = (
    "its certificate is not for the host in its URL: use a name or an address that the certificate is made for"
)


def was_cancelled(problem: BaseException) -> bool:
    """Whether an exchange ended because we wanted it to; Twisted says so in different ways, by how far it had come."""
    if isinstance(problem, ResponseFailed):
        return any(reason.check(defer.CancelledError) for reason in problem.reasons if isinstance(reason, Failure))
    return isinstance(problem, defer.CancelledError | error.ConnectingCancelledError)


def no_engine(over_network: bool) -> str:
    """What answers is something else."""
    return _NO_ENGINE_THERE if over_network else _NO_ENGINE


def explain(problem: BaseException, over_network: bool = False) -> str:
    """Why an exchange with the engine failed.

    Args:
        over_network: it is reached by TCP, not by a socket of this machine: other things go wrong on that way.
    """
    if isinstance(problem, TooLargeError):
        return f"its answer is too large: {problem}"
    if isinstance(problem, defer.TimeoutError | error.TimeoutError | error.TCPTimedOutError):
        return f"{_UNHEARD}: check host and port in its URL, and any firewall in between" if over_network else _UNHEARD
    if isinstance(problem, error.DNSLookupError):
        return "there is no machine of that name: check the host in its URL"
    if isinstance(problem, error.ConnectError):
        number = problem.osError if isinstance(problem.osError, int) else 0
        advice = _OF_A_NETWORK if over_network else _OF_A_SOCKET
        return advice.get(number, f"can't connect: {escaped(str(problem), 200)}")
    if isinstance(problem, SSL.Error):
        return _tls_words(problem)
    if isinstance(problem, VerificationError | CertificateError):
        return _OTHER_NAME
    if isinstance(problem, ResponseFailed):
        reasons = [reason for reason in problem.reasons if isinstance(reason, Failure)]
        for reason in reasons:
            if isinstance(reason.value, SshEndedError):
                return reason.value.words
            if isinstance(reason.value, SSL.Error | VerificationError | CertificateError):
                return explain(reason.value)
        lost = all(reason.check(error.ConnectionClosed, error.ConnectionLost, PotentialDataLoss) for reason in reasons)
        if lost and reasons:
            return "it closed the connection without a whole answer"
        return no_engine(over_network)
    return escaped(f"{type(problem).__name__}: {problem}", 200)
