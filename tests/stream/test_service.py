"""The real factory and protocol against a scripted server, over wires in memory and a clock that we turn."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOfferAccept
from autobahn.websocket.types import ConnectionDeny
from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, IOPump, connect
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.event import Event, Malformed
from tutumstream.net.proxy import Proxy
from tutumstream.stream.connection import Connected, Connecting, Connection, Stopped, Waiting
from tutumstream.stream.factory import CONNECT_TIMEOUT
from tutumstream.stream.flood import LINES
from tutumstream.stream.service import StreamService

CONTAINER = {
    "type": "container",
    "action": "create",
    "state": "Starting",
    "resource_uri": "/api/v1/container/x/",
    "parents": [],
}


class Server(WebSocketServerProtocol):
    """What a test wants it to be."""

    refuse_with = 0
    refuse_why = "no"

    def onConnect(self, request: Any) -> None:
        self.factory.requests.append(request)
        if self.factory.refuse_with:
            raise ConnectionDeny(self.factory.refuse_with, self.factory.refuse_why)

    def onPing(self, payload: bytes) -> None:
        self.factory.pings += 1
        if not self.factory.silent:
            super().onPing(payload)


class Connector:
    """What a reactor gives for `connectTCP`; remembers each time that it is told to connect."""

    def __init__(self, host: str, port: int, factory: Any) -> None:
        self.host = host
        self.port = port
        self.factory = factory
        self.tries = 1
        self.given_up = False

    def connect(self) -> None:
        self.tries += 1

    def stopConnecting(self) -> None:
        """There is nothing under way."""

    def disconnect(self) -> None:
        self.given_up = True


class Reactor(MemoryReactorClock):
    """Dials nobody."""

    connector: Connector

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None) -> Any:
        self.connector = Connector(host, port, factory)
        return self.connector


class Wire(FakeTransport):
    """The client's end: what comes while reading is paused waits in the network."""

    paused = False

    def __init__(self, protocol: Any) -> None:
        super().__init__(protocol, isServer=False)
        self.waiting: list[Any] = []

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        waiting, self.waiting = self.waiting, []
        for data in waiting:
            self.bufferReceived(data)

    def bufferReceived(self, buf: Any) -> None:
        if self.paused:
            self.waiting.append(buf)
        else:
            super().bufferReceived(buf)


class Rig:
    """A stream service, its reactor, and everything that it told."""

    def __init__(
        self, url: str = "ws://tutum.example/v1/events", proxy: Proxy | None = None, tls: object = None
    ) -> None:
        self.reactor = Reactor()
        self.events: list[Event] = []
        self.malformed: list[Malformed] = []
        self.states: list[Connection] = []
        self.bug: Exception | None = None
        self.pieces: list[int] = []
        self.jitter = 0.0
        ids = iter(range(10**6))
        self.service = StreamService(
            url=url,
            headers={"Authorization": "Basic a2V5"},
            check="TUTUM_TOKEN",
            reactor=self.reactor,
            tls=tls,
            take=self._take,
            keep=self.malformed.append,
            publish=self.states.append,
            now=self.reactor.seconds,
            jitter=lambda: self.jitter,
            useragent="tests",
            proxy=proxy,
            new_id=lambda: str(next(ids)),
            together=self._together,
            secrets=("bGl0dGxl/c2VjcmV0", "little-secret"),
        )
        self.server_factory = WebSocketServerFactory("ws://tutum.example", reactor=self.reactor)
        self.server_factory.protocol = Server
        self.server_factory.requests = []
        self.server_factory.refuse_with, self.server_factory.refuse_why = 0, "no"
        self.server_factory.silent = False
        self.server_factory.pings = 0
        self.server_factory.setProtocolOptions(webStatus=False)
        self.dialled = 0
        self.pump: IOPump
        self.server: Any
        self.client: Any

    def _take(self, event: Event) -> None:
        if self.bug is not None and event.type != "stream":
            raise self.bug
        self.events.append(event)

    @contextmanager
    def _together(self) -> Iterator[None]:
        before = len(self.events)
        yield
        self.pieces.append(len(self.events) - before)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(event.type, event.action) for event in self.events]

    def _next_attempt(self) -> Connector:
        self.dialled += 1
        assert self.reactor.connector.tries == self.dialled, "one try at a time"
        return self.reactor.connector

    def accept(self) -> None:
        """The server takes the connection that was dialled."""
        self.connector = self._next_attempt()
        self.client = self.connector.factory.buildProtocol(None)
        self.server = self.server_factory.buildProtocol(None)
        self.pump = connect(
            self.server,
            FakeTransport(self.server, isServer=True),
            self.client,
            Wire(self.client),
        )
        self.flush()

    def accept_silently(self) -> None:
        """Something takes the connection that was dialled, and says nothing."""
        self.connector = self._next_attempt()
        self.client = self.connector.factory.buildProtocol(None)
        self.client.makeConnection(FakeTransport(self.client, isServer=False))

    def break_off(self, why: Exception) -> None:
        """The connection ends like this."""
        self.client.connectionLost(Failure(why))
        self._lost()

    def refuse(self) -> None:
        """Nobody listens."""
        connector = self._next_attempt()
        connector.factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))

    def send(self, message: object) -> None:
        self.send_raw(json.dumps(message).encode())

    def send_raw(self, payload: bytes, is_binary: bool = False) -> None:
        self.server.sendMessage(payload, is_binary)
        self.flush()

    def flush(self) -> None:
        self.pump.flush()
        self._reconnect_if_lost()

    def cut(self) -> None:
        """The network breaks."""
        self.client.connectionLost(Failure(ConnectionLost()))
        self._lost()

    def _reconnect_if_lost(self) -> None:
        if self.client.transport.disconnected and not getattr(self.client, "reported", False):
            self._lost()

    def _lost(self) -> None:
        self.client.reported = True
        # The memory transport leaves this to us; Twisted's connector does it.
        self.client.factory.clientConnectionLost(self.connector, Failure(ConnectionLost()))

    def advance(self, seconds: float) -> None:
        self.reactor.advance(seconds)
        if hasattr(self, "pump"):
            self.flush()

    @property
    def waits(self) -> float:
        state = self.states[-1]
        assert isinstance(state, Waiting), state
        return state.until - self.reactor.seconds()


class ListeningCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig()

    def start(self) -> Rig:
        self.rig.service.startService()
        return self.rig

    def logged(self) -> list[str]:
        """The lines of the log from now on."""
        lines: list[str] = []

        def see(event: Any) -> None:
            lines.append(formatEvent(event))

        globalLogPublisher.addObserver(see)
        self.addCleanup(globalLogPublisher.removeObserver, see)
        return lines


class AGoodConnection(ListeningCase):
    def test_that_brings_a_flood_of_nonsense_does_not_flood_the_log(self) -> None:
        rig, lines = self.start(), self.logged()
        rig.accept()
        for _ in range(LINES + 50):
            rig.send_raw(b"nonsense")
        rig.advance(60.0)
        rig.send_raw(b"nonsense")
        told = [line for line in lines if "no event" in line]
        self.assertEqual((len(rig.malformed), len(told)), (LINES + 51, LINES + 2))
        self.assertEqual(told[-2], "50 more messages were no events, and got no line of their own")

    def test_takes_together_what_came_in_one_piece(self) -> None:
        rig = self.start()
        rig.accept()
        rig.pieces.clear()
        for _ in range(50):
            rig.server.sendMessage(json.dumps(CONTAINER).encode())
        rig.client.dataReceived(b"".join(rig.server.transport.stream))
        rig.server.transport.stream.clear()
        self.assertEqual(rig.pieces, [50])
        rig.send(CONTAINER)
        self.assertEqual(rig.pieces, [50, 1])

    def test_is_dialled_at_the_start_with_the_credentials_in_the_header(self) -> None:
        rig = self.start()
        self.assertEqual(rig.states, [Connecting(0.0)])
        rig.accept()
        (request,) = rig.server_factory.requests
        self.assertEqual(request.headers["authorization"], "Basic a2V5")
        self.assertEqual(request.headers["user-agent"], "tests")
        self.assertEqual(request.path, "/v1/events")

    def test_to_an_ipv6_address_names_it_in_brackets_as_http_wants_it(self) -> None:
        rig = Rig("ws://[2001:db8::1]:81/v1/events")
        rig.service.startService()
        rig.accept()
        self.assertEqual(rig.connector.host, "2001:db8::1")
        (request,) = rig.server_factory.requests
        self.assertEqual(request.headers["host"], "[2001:db8::1]:81")

    def test_is_dialled_over_tls_that_was_given(self) -> None:
        tls = object()
        rig = Rig("wss://tutum.example/v1/events", tls=tls)
        rig.service.startService()
        ((host, port, _, context, timeout, _),) = rig.reactor.sslClients
        self.assertEqual((host, port, timeout), ("tutum.example", 443, CONNECT_TIMEOUT))
        self.assertIs(context, tls)

    def test_takes_messages_of_every_form_in_order_however_they_are_cut(self) -> None:
        for cut in (1, 7, 4096):
            rig = Rig()
            rig.service.startService()
            rig.accept()
            sizes = (10, 200, 70_000 if cut > 1000 else 1000, 10, 126)
            for n, size in enumerate(sizes):
                payload = json.dumps({**CONTAINER, "state": f"{n}", "extra": "x" * size}).encode()
                rig.server.sendPing(b"are you there")
                rig.server.sendMessage(payload, fragmentSize=5000 if n == 3 else None)
                rig.server.sendMessage(payload, fragmentSize=500)
            data = b"".join(rig.server.transport.stream)
            rig.server.transport.stream.clear()
            for start in range(0, len(data), cut):
                rig.client.dataReceived(data[start : start + cut])
            states = [event.state for event in rig.events if event.type == "container"]
            self.assertEqual(states, [str(n) for n in range(len(sizes)) for _ in range(2)])
            self.assertEqual(rig.malformed, [])

    def test_takes_no_part_of_a_message_for_a_message(self) -> None:
        rig = self.start()
        rig.accept()
        rig.server.sendMessage(json.dumps({**CONTAINER, "state": "\u0101" + "x" * 200}, ensure_ascii=False).encode())
        before, found, after = b"".join(rig.server.transport.stream).partition(b"\xc4")
        rig.client.dataReceived(before + found)
        rig.client.dataReceived(after)  # which begins as a frame does
        self.assertEqual((rig.told[1:], rig.malformed), ([("container", "create")], []))
        for part in (b"\x89\x04", b"\x81\x02{}"):  # a ping that holds one
            rig.client.dataReceived(part)
        self.assertEqual(rig.malformed, [])

    def test_takes_frames_that_hold_nothing_when_they_come(self) -> None:
        rig = self.start()
        rig.accept()
        rig.client.dataReceived(b"\x01\x02{}\x80\x00")
        self.assertEqual([each.raw for each in rig.malformed], [b"{}"])
        rig.client.dataReceived(b"\x89\x00")
        self.assertEqual(len(rig.client.transport.stream), 1, "a ping is answered")

    def test_takes_nothing_that_stands_behind_a_breach_of_the_protocol(self) -> None:
        whole, in_parts = b"\x81\x02{}", b"\x01\x01{\x80\x01}"
        for breach in (b"\x83\x00", b"\x01\x01{" + whole):
            rig = Rig()
            rig.service.startService()
            rig.accept()
            rig.client.dataReceived(breach + whole + in_parts)
            self.assertEqual(rig.malformed, [])
            rig.flush()
            self.assertEqual(rig.server.remoteCloseCode, 1002)

    def test_is_read_in_pieces_that_those_who_are_told_keep_up_with(self) -> None:
        rig = self.start()
        rig.accept()
        self.assertEqual(rig.client.transport.bufferSize, 16384)

    def test_takes_compressed_messages_of_up_to_a_mebibyte(self) -> None:
        rig = self.start()
        rig.server_factory.setProtocolOptions(
            perMessageCompressionAccept=lambda offers: PerMessageDeflateOfferAccept(offers[0])
        )
        rig.accept()
        self.assertIn("permessage-deflate", rig.server_factory.requests[0].headers["sec-websocket-extensions"])
        rig.send(CONTAINER)
        rig.send_raw(b"\xff\xfe")
        self.assertEqual((rig.told[1:], len(rig.malformed)), ([("container", "create")], 1))
        rig.send_raw(b"x" * (1024 * 1024 + 1))
        self.assertTrue(rig.events[-1].message.startswith("1009 "))

    def test_survives_what_is_no_utf_8_in_parts_too(self) -> None:
        rig = self.start()
        rig.accept()
        rig.client.dataReceived(b"\x01\x01\xff\x80\x01\xfe")
        self.assertEqual([each.raw for each in rig.malformed], [b"\xff\xfe"])
        rig.send(CONTAINER)
        self.assertEqual(rig.told[-1], ("container", "create"))

    def test_is_told_as_an_event_and_shown_as_a_state(self) -> None:
        rig = self.start()
        rig.accept()
        self.assertEqual(rig.told, [("stream", "open")])
        self.assertEqual(rig.states[-1], Connected(0.0))

    def test_gives_on_every_event_in_order(self) -> None:
        rig = self.start()
        rig.accept()
        rig.send({"type": "auth"})
        rig.send(CONTAINER)
        rig.send({**CONTAINER, "action": "update"})
        self.assertEqual(rig.told, [("stream", "open"), ("container", "create"), ("container", "update")])

    def test_says_once_in_the_log_that_the_credentials_are_good(self) -> None:
        rig, lines = self.start(), self.logged()
        rig.accept()
        for _ in range(2):
            rig.send({"type": "auth"})
            self.assertEqual(lines.count("Auth completed"), 1)

    def test_survives_every_message_that_is_no_event_and_keeps_it(self) -> None:
        rig = self.start()
        rig.accept()
        for raw in (b"", b"not json", b"[" * 200_000, b'{"a": NaN}', b'{"type": "martian"}', b"\xff\xfe"):
            rig.send_raw(raw)
        rig.send_raw(json.dumps(CONTAINER).encode(), is_binary=True)
        rig.send(CONTAINER)
        self.assertEqual(len(rig.malformed), 7)
        self.assertEqual(rig.malformed[-1].reason, "a binary frame")
        self.assertEqual(rig.told, [("stream", "open"), ("container", "create")])
        self.assertIsInstance(rig.states[-1], Connected)

    def test_survives_a_bug_of_ours_and_keeps_the_message(self) -> None:
        rig = self.start()
        rig.accept()
        rig.bug = ZeroDivisionError()
        rig.send(CONTAINER)
        self.flushLoggedErrors(ZeroDivisionError)
        rig.bug = None
        rig.send(CONTAINER)
        self.assertEqual(rig.told, [("stream", "open"), ("container", "create")])
        self.assertEqual(rig.malformed[0].reason, "bug: ZeroDivisionError")
        self.assertEqual(json.loads(rig.malformed[0].raw), CONTAINER)

    def test_ends_with_1009_over_a_message_of_more_than_a_mebibyte(self) -> None:
        for size, part in ((1024 * 1024 + 1, None), (1024 * 1024 + 1, 512 * 1024)):
            rig = Rig()
            rig.service.startService()
            rig.accept()
            rig.server.sendMessage(b"x" * size, fragmentSize=part)
            rig.flush()
            rig.advance(3)
            self.assertEqual(rig.told, [("stream", "open"), ("stream", "close")])
            self.assertEqual(rig.server.remoteCloseCode, 1009)
            self.assertTrue(rig.events[-1].message.startswith("1009 "), "whatever the server answers to our close")


class ALostConnection(ListeningCase):
    def test_is_told_once_and_dialled_again_after_a_second(self) -> None:
        rig = self.start()
        rig.accept()
        rig.cut()
        self.assertEqual(rig.told, [("stream", "open"), ("stream", "close")])
        self.assertEqual(rig.waits, 1.0)
        rig.advance(1.0)
        rig.accept()
        self.assertEqual(rig.told, [("stream", "open"), ("stream", "close"), ("stream", "open")])

    def test_is_one_loss_however_many_tries_fail(self) -> None:
        rig = self.start()
        for _ in range(2):
            rig.accept()
            rig.cut()
            with capturedLogs() as logs:
                for _ in range(20):
                    rig.advance(60.0)
                    rig.refuse()
            warned = [formatEvent(line) for line in logs if line["log_level"].name == "warn"]
            why = "ws://tutum.example: it refused the connection"
            self.assertEqual(warned, [f"the stream can't be reached: {why}; trying again until it can"])
            rig.advance(60.0)
        self.assertEqual(rig.told, [("stream", "open"), ("stream", "close")] * 2)

    def test_is_lost_at_the_time_of_the_first_loss(self) -> None:
        rig = self.start()
        rig.advance(3.0)
        rig.refuse()
        rig.advance(1.0)
        rig.refuse()
        state = rig.states[-1]
        assert isinstance(state, Waiting)
        self.assertEqual(state.since, 3.0)

    def test_closed_by_the_server_says_its_code_and_reason(self) -> None:
        rig, lines = self.start(), self.logged()
        rig.accept()
        rig.server.sendClose(3000, "maintenance")
        rig.advance(3)
        self.assertEqual(rig.events[-1].message, "3000 maintenance")
        rig.advance(1)
        rig.accept()
        rig.server.sendClose(1000)
        rig.advance(3)
        self.assertEqual(rig.events[-1].message, "1000")
        told = [line for line in lines if line.startswith(("Connected", "Closed"))]
        closed = ["Closed (code 3000: maintenance)", "Closed (code 1000: no reason given)"]
        self.assertEqual(told, ["Connected", closed[0], "Connected", closed[1]])

    def test_closed_by_a_server_that_gives_no_code_says_so(self) -> None:
        rig = self.start()
        rig.accept()
        rig.client.dataReceived(b"\x88\x00")
        rig.break_off(ConnectionDone())
        self.assertEqual(rig.events[-1].message, "1005 it closed the connection")

    def test_is_noticed_within_forty_seconds_when_the_peer_is_dead(self) -> None:
        rig = self.start()
        rig.accept()
        rig.send(CONTAINER)
        rig.server_factory.silent = True
        for _ in range(40):
            rig.advance(1.0)
        self.assertEqual(rig.told[-1], ("stream", "close"))
        self.assertEqual(rig.events[-1].message, "1006 it did not answer a ping in time")

    def test_does_not_happen_while_the_peer_answers_pings(self) -> None:
        rig = self.start()
        rig.accept()
        for _ in range(300):
            rig.advance(1.0)
        self.assertEqual(rig.told, [("stream", "open")])

    def test_does_not_happen_while_the_peer_sends_whatever_becomes_of_its_pongs(self) -> None:
        rig = self.start()
        rig.accept()
        rig.server_factory.silent = True
        for _ in range(20):
            rig.advance(5.0)
            rig.send(CONTAINER)
        self.assertEqual(rig.told[-1], ("container", "create"))


class Watcher:
    """Remembers what it hears."""

    def __init__(self, rig: Rig) -> None:
        self.heard: list[tuple[str, float]] = []
        self.events: list[int] = []
        self.rig = rig

    def opened(self) -> None:
        self._hear("opened", self.rig.reactor.seconds())

    def lost(self, alive_until: float) -> None:
        self._hear("lost", alive_until)

    def alive(self, at: float) -> None:
        self._hear("alive", at)

    def _hear(self, what: str, at: float) -> None:
        self.heard.append((what, at))
        self.events.append(len(self.rig.events))


class AWatcher(ListeningCase):
    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.watcher = Watcher(self.rig)
        self.rig.service.watcher = self.watcher

    def test_is_told_of_beginning_and_end_after_the_events_of_them(self) -> None:
        self.rig.accept()
        self.rig.advance(5.0)
        self.rig.cut()
        self.assertEqual(self.watcher.heard, [("opened", 0.0), ("lost", 5.0)])
        self.assertEqual(self.watcher.events, [1, 2])

    def test_hears_of_one_loss_however_many_tries_fail(self) -> None:
        self.rig.refuse()
        self.rig.advance(1.0)
        self.rig.refuse()
        self.rig.advance(2.0)
        self.rig.accept()
        self.assertEqual([what for what, _ in self.watcher.heard], ["opened"])

    def test_is_told_until_when_a_peer_that_died_was_alive(self) -> None:
        self.rig.accept()
        for _ in range(31):
            self.rig.advance(1.0)
        self.rig.server_factory.silent = True
        for _ in range(60):
            self.rig.advance(1.0)
        self.assertEqual(self.watcher.heard[1:], [("alive", 30.0), ("lost", 30.0)])

    def test_is_told_of_the_last_sign_of_life_where_the_end_came_while_we_were_stopped(self) -> None:
        self.rig.accept()
        for _ in range(31):
            self.rig.advance(1.0)
        self.rig.reactor.rightNow += 8 * 3600.0
        self.rig.cut()
        self.assertEqual(self.watcher.heard[1:], [("alive", 30.0), ("lost", 30.0)])

    def test_takes_a_peer_that_never_answered_a_ping_for_alive_when_it_accepted(self) -> None:
        self.rig.refuse()
        self.rig.advance(1.0)
        self.rig.accept()
        self.rig.server_factory.silent = True
        for _ in range(60):
            self.rig.advance(1.0)
        self.assertEqual(self.watcher.heard, [("opened", 1.0), ("lost", 1.0)])

    def test_learns_when_all_has_been_taken_that_was_sent_before(self) -> None:
        rig = self.rig
        rig.accept()
        rig.server.sendMessage(json.dumps(CONTAINER).encode())
        reached: list[int] = []
        rig.service.caught_up().addCallback(lambda _: reached.append(len(rig.events)))
        self.assertEqual(reached, [])
        rig.flush()
        self.assertEqual(reached, [2])
        for _ in range(200):
            rig.advance(1.0)
        self.assertEqual(rig.told[-1], ("container", "create"), "it is kept alive as before")

    def test_does_not_learn_so_while_nothing_is_read(self) -> None:
        rig = self.rig
        rig.accept()
        rig.service.hold(True)
        caught_up = rig.service.caught_up()
        rig.send(CONTAINER)
        self.assertNoResult(caught_up)
        rig.service.hold(False)
        rig.flush()
        self.successResultOf(caught_up)

    def test_never_learns_so_of_a_connection_that_was_lost(self) -> None:
        rig = self.rig
        rig.accept()
        caught_up = rig.service.caught_up()
        rig.cut()
        rig.advance(2.0)
        rig.accept()
        self.assertNoResult(caught_up)

    def test_may_ask_so_while_an_earlier_ping_is_on_its_way(self) -> None:
        rig = self.rig
        rig.accept()
        rig.server_factory.silent = True
        for _ in range(35):
            rig.advance(1.0)
        rig.server_factory.silent = False
        caught_up = rig.service.caught_up()
        for _ in range(20):
            rig.advance(1.0)
        self.successResultOf(caught_up)
        self.assertEqual(rig.told, [("stream", "open")])

    def test_that_waits_for_a_server_without_pongs_sees_the_connection_end(self) -> None:
        rig = self.rig
        rig.accept()
        rig.server_factory.silent = True
        rig.service.caught_up()
        for _ in range(12):
            rig.advance(1.0)
        self.assertEqual(self.watcher.heard[-1][0], "lost")


class AServerThatIsAway(ListeningCase):
    def test_is_told_once_as_an_error_with_the_reason_in_words(self) -> None:
        rig = self.start()
        rig.refuse()
        self.assertEqual(rig.told, [("stream", "error")])
        self.assertEqual(rig.events[0].message, "ws://tutum.example: it refused the connection")

    def test_is_named_without_the_credentials_in_its_address(self) -> None:
        rig = Rig("ws://bob:hush@tutum.example/v1/events")
        rig.service.startService()
        rig.refuse()
        self.assertEqual(rig.events[0].message, "ws://tutum.example: it refused the connection")

    def test_is_tried_ever_more_rarely_up_to_a_minute(self) -> None:
        rig = self.start()
        rig.jitter = 1.0
        waits = []
        for _ in range(8):
            rig.refuse()
            waits.append(rig.waits)
            rig.advance(rig.waits)
        self.assertEqual(waits, [2, 4, 8, 16, 32, 60, 60, 60])

    def test_that_accepts_and_closes_is_not_hammered(self) -> None:
        rig = self.start()
        rig.jitter = 1.0
        waits = []
        for _ in range(7):
            rig.accept()
            rig.cut()
            waits.append(rig.waits)
            rig.advance(rig.waits)
        self.assertEqual(waits, [2, 4, 8, 16, 32, 60, 60])

    def test_is_tried_at_once_again_after_a_connection_that_proved_good(self) -> None:
        for prove in (lambda rig: rig.send(CONTAINER), lambda rig: rig.advance(30.0)):
            rig = Rig()
            rig.service.startService()
            for _ in range(6):
                rig.refuse()
                rig.advance(rig.waits)
            rig.accept()
            prove(rig)
            rig.jitter = 1.0
            rig.cut()
            self.assertEqual(rig.waits, 2.0)

    def test_that_accepts_only_to_say_an_error_is_not_hammered_either(self) -> None:
        rig = self.start()
        rig.jitter = 1.0
        for wait in (2, 4, 8):
            rig.accept()
            rig.send({"type": "error", "data": {"errorMessage": "too many"}})
            rig.cut()
            self.assertEqual(rig.waits, wait)
            rig.advance(rig.waits)

    def test_has_to_prove_each_connection_good(self) -> None:
        for proves in (True, False):
            rig = Rig()
            rig.service.startService()
            rig.jitter = 1.0
            rig.accept()
            if proves:
                rig.send(CONTAINER)
            rig.cut()
            rig.advance(2.0)
            rig.accept()
            rig.advance(29.0)
            rig.cut()
            self.assertEqual(rig.waits, 4.0)

    def test_that_refuses_the_upgrade_says_the_status_and_more_where_the_server_does(self) -> None:
        for why, words in (
            ("Service Unavailable", ""),
            ("Docker is away", ": Docker is away"),
            ("\x07" + "x" * 300, ": \\x07" + "x" * 193 + "..."),
        ):
            rig = Rig()
            rig.service.startService()
            rig.server_factory.refuse_with, rig.server_factory.refuse_why = 503, why
            rig.accept()
            self.assertEqual(rig.told, [("stream", "error")])
            self.assertEqual(rig.events[0].message, f"ws://tutum.example: the server answered 503{words}")
            self.assertEqual(rig.waits, 1.0)

    def test_that_answers_as_no_stream_api_does_says_what_to_check(self) -> None:
        for status, words in (
            (301, ": check TUTUM_STREAM_URL or TUTUM_STREAM_HOST"),
            (404, ": check TUTUM_STREAM_URL or TUTUM_STREAM_HOST"),
            (300, ": check TUTUM_STREAM_URL or TUTUM_STREAM_HOST"),
            (499, ": check TUTUM_STREAM_URL or TUTUM_STREAM_HOST"),
            (299, ""),
            (408, ""),
            (425, ""),
            (429, ""),
            (500, ": whatever it says"),
        ):
            rig = Rig()
            rig.service.startService()
            rig.server_factory.refuse_with, rig.server_factory.refuse_why = status, "whatever it says"
            rig.accept()
            self.assertEqual(rig.events[0].message, f"ws://tutum.example: the server answered {status}{words}")

    def test_that_quotes_our_credentials_is_told_without_them(self) -> None:
        away, rig = Rig(), self.start()
        away.service.startService()
        away.server_factory.refuse_with, away.server_factory.refuse_why = 503, "no ?token=little-secret here"
        away.accept()
        self.assertEqual(away.events[0].message, "ws://tutum.example: the server answered 503: no ?token=*** here")
        rig.accept()
        rig.send_raw(b'{"type": "error", "data": {"errorMessage": "bad bGl0dGxl\\/c2VjcmV0"}}')
        rig.send_raw(b"nonsense with bGl0dGxl/c2VjcmV0")
        rig.server.sendClose(4001, "bad bGl0dGxl/c2VjcmV0")
        rig.flush()
        self.assertEqual(rig.malformed[0].raw, b"nonsense with ***")
        shown = " ".join([repr(rig.events), repr(rig.malformed), repr(rig.states)])
        self.assertNotIn("bGl0dGxl", shown)
        self.assertEqual(shown.count("bad ***"), 3)

    def test_that_is_no_stream_at_all_is_told_with_where_to_look(self) -> None:
        rig = self.start()
        rig.server_factory.refuse_with = 404
        rig.accept()
        words = "ws://tutum.example: the server answered 404: check TUTUM_STREAM_URL or TUTUM_STREAM_HOST"
        self.assertEqual(rig.events[0].message, words)

    def test_whose_certificate_is_refused_before_the_upgrade_is_dialled_again(self) -> None:
        rig = self.start()
        rig.accept_silently()
        rig.break_off(SSL.Error([("SSL routines", "", "certificate verify failed")]))
        self.assertEqual(rig.told, [("stream", "error")])
        self.assertIn("not signed by an authority we trust", rig.events[0].message)
        self.assertEqual(rig.waits, 1.0)

    def test_that_never_answers_the_upgrade_is_given_up_after_fifteen_seconds(self) -> None:
        rig = self.start()
        rig.accept_silently()
        rig.reactor.advance(14.0)
        self.assertFalse(rig.client.transport.disconnecting)
        rig.reactor.advance(1.0)
        self.assertTrue(rig.client.transport.disconnecting)
        rig.break_off(ConnectionAborted())
        self.assertEqual(rig.events[0].message, "ws://tutum.example: it did not answer the upgrade in time")

    def test_whose_answer_to_the_upgrade_is_nonsense_is_told_in_words(self) -> None:
        for said, words in (
            (b"\xff\xfe\x00\x80", "its answer is not HTTP"),
            (b"HTTP/1.1 " + b"5" * 5000, 'Bad HTTP status code "555'),
            (b"HTTP/1.1 101 Yes", "HTTP Upgrade header missing"),
        ):
            rig = Rig()
            rig.service.startService()
            rig.accept_silently()
            rig.client.dataReceived(said + b"\r\n\r\n")
            rig.break_off(ConnectionAborted())
            self.assertEqual(rig.events[0].message.removeprefix("ws://tutum.example: ")[: len(words)], words)

    def test_that_answers_the_upgrade_with_something_else_is_told_in_words(self) -> None:
        rig = self.start()
        rig.accept_silently()
        rig.client.dataReceived(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        self.assertTrue(rig.client.transport.disconnecting)
        rig.break_off(ConnectionAborted())
        self.assertIn("SSH-2.0-OpenSSH_9.2", rig.events[0].message)


class RefusedCredentials(ListeningCase):
    def unauthorized(self) -> None:
        self.rig.accept()
        self.rig.send({"type": "error", "data": {"errorMessage": "UNAUTHORIZED"}})
        self.rig.advance(3)

    def test_as_an_event_are_tried_again_after_a_minute_growing_to_an_hour(self) -> None:
        rig = self.start()
        rig.jitter = 1.0
        waits = []
        for _ in range(8):
            self.unauthorized()
            waits.append(round(rig.waits / 60))
            rig.advance(rig.waits)
        self.assertEqual(waits, [2, 4, 8, 16, 32, 60, 60, 60])

    def test_as_a_status_are_tried_again_just_as_rarely(self) -> None:
        for status in (401, 403):
            rig = Rig()
            rig.service.startService()
            rig.server_factory.refuse_with = status
            rig.accept()
            self.assertEqual(rig.waits, 60.0)
            state = rig.states[-1]
            assert isinstance(state, Waiting)
            self.assertTrue(state.refused)
            self.assertEqual(state.reason, f"ws://tutum.example: the server answered {status}")

    def test_as_a_status_are_no_server_that_is_away(self) -> None:
        rig, lines = self.start(), self.logged()
        rig.server_factory.refuse_with = 401
        rig.accept()
        (line,) = [line for line in lines if "stream" in line]
        self.assertIn("the stream refuses the credentials (", line)
        self.assertIn("the server answered 401): check TUTUM_TOKEN", line)

    def test_as_an_event_are_the_reason_that_is_shown(self) -> None:
        rig = self.start()
        self.unauthorized()
        self.assertEqual(str(rig.states[-1]), "refused: the server answered UNAUTHORIZED")
        self.assertEqual(rig.events[-1].message, "the server answered UNAUTHORIZED")

    def test_that_were_good_on_an_earlier_connection_are_refused(self) -> None:
        rig = self.start()
        rig.accept()
        rig.send({"type": "auth"})
        rig.cut()
        rig.advance(rig.waits)
        self.unauthorized()
        self.assertIn("refused", str(rig.states[-1]))

    def test_are_one_loss_and_no_recovery_however_often_the_upgrade_is_accepted(self) -> None:
        rig = self.start()
        for _ in range(5):
            self.unauthorized()
            rig.advance(rig.waits)
        self.assertEqual(rig.told, [("stream", "open"), ("stream", "close")])

    def test_are_over_when_the_server_says_auth(self) -> None:
        rig = self.start()
        self.unauthorized()
        rig.advance(rig.waits)
        rig.accept()
        self.assertEqual(rig.told[-1], ("stream", "close"))
        rig.send({"type": "auth"})
        self.assertEqual(rig.told[-1], ("stream", "open"))
        rig.cut()
        self.assertEqual(rig.waits, 1.0)

    def test_are_over_when_the_stream_brings_an_event_or_lasts(self) -> None:
        for prove in (lambda rig: rig.send(CONTAINER), lambda rig: rig.advance(30.0)):
            self.rig = rig = Rig()
            self.start()
            self.unauthorized()
            rig.advance(rig.waits)
            rig.accept()
            prove(rig)
            self.assertEqual(rig.told[2], ("stream", "open"), "before what proves it")

    def test_that_were_good_meanwhile_are_tried_again_after_a_minute(self) -> None:
        rig = self.start()
        rig.jitter = 1.0
        for _ in range(2):
            self.unauthorized()
            self.assertEqual(round(rig.waits / 60), 2)
            rig.advance(rig.waits)
            rig.accept()
            rig.send({"type": "auth"})
            rig.cut()
            rig.advance(rig.waits)

    def test_are_logged_once_with_what_to_check(self) -> None:
        rig = self.start()
        lines = self.assert_logged(lambda: [self.unauthorized() or rig.advance(rig.waits) for _ in range(3)])
        self.assertEqual(len(lines), 1)
        self.assertIn("TUTUM_TOKEN", lines[0])

    def test_after_a_good_auth_are_only_an_error_like_any_other(self) -> None:
        rig = self.start()
        rig.accept()
        rig.send({"type": "auth"})
        rig.send({"type": "error", "data": {"errorMessage": "UNAUTHORIZED"}})
        rig.send(CONTAINER)
        self.assertEqual(rig.told, [("stream", "open"), ("error", ""), ("container", "create")])
        self.assertEqual(rig.events[1].message, "UNAUTHORIZED")

    def assert_logged(self, act: Any) -> list[str]:
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        act()
        return [
            formatEvent(event)
            for event in events
            if event["log_level"] is LogLevel.error and "log_failure" not in event
        ]


class AHeldConnection(ListeningCase):
    def hold(self) -> Rig:
        rig = self.start()
        rig.accept()
        rig.send({"type": "auth"})
        rig.service.hold(True)
        return rig

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.rig.advance(1.0)

    def test_reads_nothing_and_has_all_of_it_afterwards_in_order(self) -> None:
        rig = self.hold()
        actions = [f"a{number}" for number in range(20)]
        for action in actions:
            rig.send({**CONTAINER, "action": action})
        self.assertEqual(rig.told, [("stream", "open")])
        rig.service.hold(False)
        self.assertEqual(rig.told[1:], [("container", action) for action in actions])
        rig.send(CONTAINER)
        self.assertEqual(rig.told[-1], ("container", "create"))

    def test_is_kept_however_long_it_takes_and_stays_in_use(self) -> None:
        rig = self.hold()
        rig.send(CONTAINER)
        self.wait(600)
        self.assertEqual(rig.told, [("stream", "open")])
        self.assertGreaterEqual(rig.server_factory.pings, 10)
        rig.service.hold(False)
        rig.flush()
        self.wait(300)
        self.assertEqual(rig.told, [("stream", "open"), ("container", "create")])

    def test_that_goes_on_just_before_the_deadline_has_time_to_read_the_pong(self) -> None:
        rig = self.hold()
        self.wait(39)
        wire = rig.client.transport
        pong, wire.waiting = wire.waiting, []  # far behind in what the network holds
        self.assertEqual(len(pong), 1)
        rig.service.hold(False)
        self.wait(8)
        wire.bufferReceived(pong[0])
        self.wait(60)
        self.assertEqual(rig.told, [("stream", "open")])

    def test_is_found_dead_once_it_goes_on(self) -> None:
        rig = self.hold()
        rig.server_factory.silent = True
        self.wait(100)
        self.assertEqual(rig.told, [("stream", "open")])
        rig.service.hold(False)
        self.wait(40)
        self.assertEqual(rig.told, [("stream", "open"), ("stream", "close")])
        self.assertEqual(rig.events[-1].message, "1006 it did not answer a ping in time")

    def test_leaves_no_warnings_about_pongs(self) -> None:
        rig = self.hold()
        self.wait(200)
        lines = self.logged()
        rig.service.hold(False)
        rig.flush()
        self.assertEqual([line for line in lines if "pong" in line.lower()], [])

    def test_is_told_when_it_lasts_and_so_is_its_end(self) -> None:
        lines = self.logged()
        rig = self.hold()
        self.wait(3)
        rig.service.hold(False)
        self.assertEqual(
            lines[-2:],
            [
                "reading from the stream pauses: what came is not written down yet",
                "reading from the stream goes on",
            ],
        )

    def test_is_not_told_of_a_stream_that_was_left(self) -> None:
        lines = self.logged()
        rig = self.hold()
        rig.service.stopService()
        self.wait(3)
        rig.service.hold(False)
        self.assertEqual([line for line in lines if "reading" in line], [])

    def test_is_not_worth_a_line_when_it_is_soon_over(self) -> None:
        lines = self.logged()
        rig = self.hold()
        for _ in range(10):
            rig.advance(0.5)
            rig.service.hold(False)
            rig.service.hold(True)
        self.assertEqual([line for line in lines if "reading" in line], [])

    def test_that_is_lost_is_followed_by_one_that_is_held_too(self) -> None:
        rig = self.hold()
        rig.cut()
        rig.advance(1.0)
        rig.accept()
        rig.send({"type": "auth"})
        rig.send(CONTAINER)
        self.assertEqual(rig.told, [("stream", "open"), ("stream", "close"), ("stream", "open")])
        rig.service.hold(False)
        self.assertEqual(rig.told[-1], ("container", "create"))
        rig.cut()
        rig.advance(2.0)
        rig.accept()
        rig.send(CONTAINER)
        self.assertEqual(rig.told[-1], ("container", "create"))
        self.assertEqual(rig.told[-2], ("stream", "open"))

    def test_does_not_keep_the_service_from_stopping(self) -> None:
        rig = self.hold()
        stopped = rig.service.stopService()
        self.wait(6)
        self.successResultOf(stopped)
        self.assertEqual(rig.told, [("stream", "open"), ("stream", "close")])

    def test_without_a_connection_holds_the_next_one(self) -> None:
        rig = self.start()
        rig.service.hold(True)
        rig.accept()
        rig.send(CONTAINER)
        self.assertEqual(rig.told, [("stream", "open")])
        rig.service.hold(False)
        self.assertEqual(rig.told, [("stream", "open"), ("container", "create")])


class AStop(ListeningCase):
    def test_hangs_up_and_is_a_close_like_any_other(self) -> None:
        rig = self.start()
        rig.accept()
        stopped = rig.service.stopService()
        self.assertNoResult(stopped)
        self.assertFalse(rig.reactor.connector.given_up)
        rig.advance(1)
        self.successResultOf(stopped)
        self.assertEqual(rig.server.remoteCloseCode, 1000)
        self.assertEqual(rig.told, [("stream", "open"), ("stream", "close")])
        self.assertEqual(rig.states[-1], Stopped())
        rig.advance(3600)
        self.assertEqual(rig.reactor.connector.tries, 1)

    def test_does_not_wait_for_a_peer_that_is_dead(self) -> None:
        rig = self.start()
        rig.accept()
        rig.pump.flush = lambda *_: False  # the wire is cut, and nobody knows
        stopped = rig.service.stopService()
        rig.reactor.advance(4)
        self.assertNoResult(stopped)
        rig.reactor.advance(1)
        self.successResultOf(stopped)

    def test_while_connecting_ends_the_attempt(self) -> None:
        rig, lines = self.start(), self.logged()
        self.successResultOf(rig.service.stopService())
        self.assertTrue(rig.reactor.connector.given_up)
        rig.refuse()
        self.assertEqual([(event.action, event.message) for event in rig.events], [("error", "the service stops")])
        self.assertEqual(lines, [])

    def test_is_not_undone_by_an_upgrade_that_comes_too_late(self) -> None:
        rig = self.start()
        self.successResultOf(rig.service.stopService())
        rig.accept()
        rig.advance(1)
        self.assertEqual(rig.server.remoteCloseCode, 1000)
        self.assertEqual(rig.told, [("stream", "error")])
        self.assertEqual(rig.states[-1], Stopped())

    def test_after_a_loss_ends_at_once(self) -> None:
        rig = self.start()
        rig.accept()
        rig.cut()
        rig.advance(1.0)
        self.successResultOf(rig.service.stopService())
        self.assertTrue(rig.reactor.connector.given_up, "the next try is under way")
        self.assertEqual(rig.told, [("stream", "open"), ("stream", "close")])

    def test_while_waiting_ends_at_once_and_tells_nothing_twice(self) -> None:
        rig = self.start()
        rig.refuse()
        self.successResultOf(rig.service.stopService())
        self.assertEqual(rig.told, [("stream", "error")])
        self.assertEqual(rig.reactor.getDelayedCalls(), [])


class AProxy(SynchronousTestCase):
    def test_is_dialled_instead_and_asked_to_connect_with_its_credentials(self) -> None:
        rig = Rig(proxy=Proxy("proxy.example", 3128, "Basic cHJveHk="))
        rig.service.startService()
        connector = rig.reactor.connector
        self.assertEqual((connector.host, connector.port), ("proxy.example", 3128))
        client = connector.factory.buildProtocol(None)
        transport = FakeTransport(client, isServer=False)
        client.makeConnection(transport)
        self.assertEqual(
            b"".join(transport.stream),
            b"CONNECT tutum.example:80 HTTP/1.1\r\nHost: tutum.example:80\r\n"
            b"Proxy-Authorization: Basic cHJveHk=\r\n\r\n",
        )

    def test_that_wants_no_credentials_gets_none(self) -> None:
        rig = Rig(proxy=Proxy("proxy.example", 3128))
        rig.service.startService()
        rig.accept_silently()
        self.assertNotIn(b"uthorization", b"".join(rig.client.transport.stream))

    def test_is_told_an_ipv6_destination_in_brackets(self) -> None:
        rig = Rig("ws://[2001:db8::1]:81/v1/events", Proxy("proxy.example", 3128))
        rig.service.startService()
        rig.accept_silently()
        sent = b"".join(rig.client.transport.stream)
        self.assertTrue(sent.startswith(b"CONNECT [2001:db8::1]:81 HTTP/1.1\r\nHost: [2001:db8::1]:81\r\n"), sent)

    def test_that_refuses_is_told_with_the_way_out(self) -> None:
        rig = Rig(proxy=Proxy("proxy.example", 3128))
        rig.service.startService()
        rig.accept_silently()
        rig.client.dataReceived(b"HTTP/1.1 407 Who are you\r\n\r\n")
        self.assertTrue(rig.client.transport.disconnecting)
        rig.break_off(ConnectionAborted())
        self.assertIn(
            "ws://tutum.example: the proxy proxy.example:3128: it answered 407: it wants credentials",
            rig.events[0].message,
        )

    def test_that_hangs_up_or_talks_nonsense_is_named(self) -> None:
        for said, words in ((b"", "the connection was cut"), (b"SSH-2.0-x\r\n\r\n", "it did not answer in HTTP")):
            rig = Rig(proxy=Proxy("proxy.example", 3128))
            rig.service.startService()
            rig.accept_silently()
            if said:
                rig.client.dataReceived(said)
            rig.break_off(ConnectionLost())
            self.assertEqual(rig.events[0].message, f"ws://tutum.example: the proxy proxy.example:3128: {words}")

    def test_that_never_answers_is_named(self) -> None:
        rig = Rig(proxy=Proxy("proxy.example", 3128))
        rig.service.startService()
        rig.accept_silently()
        rig.reactor.advance(CONNECT_TIMEOUT)
        rig.break_off(ConnectionAborted())
        self.assertIn("the proxy proxy.example:3128: it did not answer the CONNECT in time", rig.events[0].message)

    def test_that_connects_has_no_part_in_what_the_server_does_then(self) -> None:
        rig = Rig(proxy=Proxy("proxy.example", 3128))
        rig.service.startService()
        rig.accept_silently()
        rig.client.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertIn(b"Authorization: Basic a2V5", b"".join(rig.client.transport.stream))
        rig.reactor.advance(CONNECT_TIMEOUT)
        rig.break_off(ConnectionAborted())
        self.assertEqual(rig.events[0].message, "ws://tutum.example: it did not answer the upgrade in time")

    def test_that_can_not_be_reached_is_named(self) -> None:
        rig = Rig(proxy=Proxy("proxy.example", 3128, "Basic cHJveHk="))
        rig.service.startService()
        rig.refuse()
        self.assertEqual(
            rig.events[0].message,
            "ws://tutum.example: the proxy proxy.example:3128 can't be reached, it refused the connection",
        )
