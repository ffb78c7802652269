"""A WebSocket client made of bytes: what the gateway's site really sends, without a socket."""

import json
import struct
from typing import Any

import txaio
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.gateway.access import Access, Credentials
from tutumstream.gateway.gate import Gate
from tutumstream.gateway.platform import Change, IPlatform
from tutumstream.gateway.settings import Permission
from tutumstream.gateway.site import GatewaySite
from tutumstream.gateway.streaming import StreamFactory

ACCESS = Access([Credentials("alice", "k3y")])
GOOD = "Authorization: ApiKey alice:k3y"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class TcpTransport(StringTransportWithDisconnection):
    """A transport that knows whether it may hold small writes back."""

    no_delay = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled


class Wire:
    """One connection to a site."""

    def __init__(self, site: GatewaySite, host: str = "192.0.2.1") -> None:
        peer = IPv4Address("TCP", host, 4711)
        self.transport = TcpTransport(peerAddress=peer)
        self.transport.protocol = site.buildProtocol(peer)
        self.transport.protocol.makeConnection(self.transport)
        self._rest = b""

    def write(self, data: bytes) -> None:
        """The client sends."""
        self.transport.protocol.dataReceived(data)

    def read(self) -> bytes:
        """What the client got since the last call."""
        data = self.transport.value()
        self.transport.clear()
        return data

    def upgrade(self, path: str = "/v1/events", *headers: str, then: bytes = b"") -> str:
        """Ask for a WebSocket, with more bytes at once after that; the answer's status line and headers."""
        lines = [
            f"GET {path} HTTP/1.1",
            "Host: stream.tutum.co:443",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            *headers,
        ]
        self.write("".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n" + then)
        head, _, self._rest = self.read().partition(b"\r\n\r\n")
        return head.decode("latin-1")

    def send(self, opcode: int, payload: bytes) -> None:
        """One masked frame of the client (the mask is zero)."""
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xff" + struct.pack("!Q", len(payload))
        self.write(bytes([0x80 | opcode]) + length + b"\0\0\0\0" + payload)

    def frames(self) -> list[tuple[int, bytes]]:
        """Opcode and payload of every frame that came since the last call."""
        data, self._rest = self._rest + self.read(), b""
        found = []
        while data:
            length, start = data[1], 2
            if length == 126:
                length, start = struct.unpack("!H", data[2:4])[0], 4
            found.append((data[0] & 0x0F, data[start : start + length]))
            data = data[start + length :]
        return found

    def messages(self) -> list[Any]:
        """The text messages that came since the last call, decoded."""
        return [json.loads(payload) for opcode, payload in self.frames() if opcode == TEXT]


class SiteCase(SynchronousTestCase):
    """A site over a platform, on a clock of its own."""

    keeps = True
    """Whether what is told can be kept for after a restart."""

    def serve(self, platform: IPlatform, allow: frozenset[Permission] = frozenset(), **options: Any) -> None:
        """Make the site; Autobahn's timers follow the same clock as everything else."""
        self.clock = Clock()
        self.addCleanup(setattr, txaio.config, "loop", txaio.config.loop)
        self.stream = StreamFactory(self.clock, **options)
        self.site = GatewaySite(
            self.clock, platform, Gate(ACCESS, self.clock), self.stream, allow, keeps=lambda: self.keeps
        )

    def tell(self, *changes: Change) -> None:
        """These happen in one turn of the reactor; the next one comes."""
        for change in changes:
            self.stream.tell(change)
        self.clock.advance(0)

    def join(self) -> Wire:
        """A client that has been greeted."""
        wire = Wire(self.site)
        wire.upgrade("/v1/events", GOOD)
        self.assertEqual(wire.messages(), [{"type": "auth"}])
        return wire
