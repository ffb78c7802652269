"""A gateway that was away, and its clients: the whole of it but for the disk and the network."""

import errno
from collections.abc import Iterable, Mapping
from typing import Any

import txaio
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import START, FakeEngine, event
from tests.gateway.wire import ACCESS, CLOSE, GOOD, Wire
from tutumstream.errors import DockerError, StateError
from tutumstream.gateway.docker.platform import DockerPlatform
from tutumstream.gateway.docker.several import PATIENCE, SeveralEngines
from tutumstream.gateway.gate import Gate
from tutumstream.gateway.saving import Change, Row, Saving
from tutumstream.gateway.service import GatewayService


class Disk:
    """What is left of a gateway that was killed."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[Row, bytes]] = {}
        self.problem: StateError | None = None
        self.closed = False
        self.full = False

    def open(self) -> Mapping[str, Mapping[Row, bytes]]:
        if self.problem is not None:
            raise self.problem
        return {part: dict(rows) for part, rows in self.kept.items()}

    def set_aside(self, why: str) -> Mapping[str, Mapping[Row, bytes]]:
        raise AssertionError(why)

    def renew(self) -> bool:
        return False

    def write(self, changes: Iterable[Change]) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        for part, kind, key, value in changes:
            rows = self.kept.setdefault(part, {})
            if value is None:
                del rows[kind, key]
            else:
                rows[kind, key] = value

    def close(self) -> None:
        self.closed = True


def at_once(work: Any, *arguments: Any) -> Deferred[Any]:
    return maybeDeferred(work, *arguments)


class Gateway:
    """One run of a gateway over these engines; it is killed by being used no more."""

    def __init__(self, disk: Disk, now: float, *engines: FakeEngine) -> None:
        self.reactor = MemoryReactorClock()
        self.reactor.advance(now)
        platforms = [
            DockerPlatform(engine, self.reactor, name=engine.host, jitter=lambda: 1.0, insist=len(engines) > 1)
            for engine in engines
        ]
        self.platform = platforms[0] if len(platforms) == 1 else SeveralEngines(platforms, self.reactor)
        self.failures: list[Exception] = []
        saving = Saving(disk, self.platform.memories, self.reactor, at_once)
        self.service = GatewayService(
            self.reactor,
            TCP4ServerEndpoint(self.reactor, 0),
            self.platform,
            Gate(ACCESS, self.reactor),
            self.failures.append,
            saving=saving,
        )
        self.service.startService()

    def join(self) -> Wire:
        """A client of a user who is always the same."""
        wire = Wire(self.reactor.tcpServers[0][1])
        wire.upgrade("/v1/events", GOOD)
        return wire

    def pass_time(self, seconds: float) -> None:
        self.reactor.pump([0.5] * int(seconds * 2))

    def ready(self) -> bytes:
        """What `/readyz` answers."""
        wire = Wire(self.reactor.tcpServers[0][1])
        wire.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        return wire.read()

    def states(self, kind: str = "container") -> dict[str, str]:
        return {one.get("name") or one["nickname"]: one["state"] for one in self.platform.list(kind)}


def heard(wire: Wire) -> list[str]:
    """What a client is told of containers and nodes."""
    found = [message for message in wire.messages() if message["type"] in ("container", "node")]
    return [f"{one['type']} {one['action']} {one['state']}" for one in found]


class RestartTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.addCleanup(setattr, txaio.config, "loop", txaio.config.loop)
        self.disk = Disk()
        self.engine = FakeEngine()
        for number, name in enumerate(("same", "stops", "goes"), 1):
            self.apply("create", number, name)
            self.apply("start", number, name)

    def apply(self, action: str, number: int, name: str = "web", at: float = START + 1.0, **more: str) -> None:
        self.engine.truth.apply(event(action, number, at, name=name, **more))

    def begin(self, now: float = START + 10.0, *engines: FakeEngine) -> Gateway:
        gateway = Gateway(self.disk, now, *(engines or (self.engine,)))
        # What was killed must not go on when its coroutines are thrown away, in the middle of another test.
        self.addCleanup(gateway.platform.stop)
        gateway.pass_time(2)
        self.addCleanup(gateway.service.stopService)
        return gateway

    def changes_meanwhile(self) -> None:
        self.apply("die", 2, "stops", START + 20, exitCode="3")
        self.apply("destroy", 3, "goes", START + 21)
        self.apply("create", 4, "new", START + 95)

    def test_the_first_start_is_silent_and_a_restart_tells_the_clients_of_before_what_changed(self) -> None:
        first = self.begin()
        first.join()
        first.pass_time(2)
        self.changes_meanwhile()
        second = self.begin(START + 100)
        client = second.join()
        told = heard(client)
        self.assertEqual(
            sorted(told), ["container create Starting", "container delete Terminated", "container update Stopped"]
        )
        self.assertEqual(
            second.states(), {"same": "Running", "stops": "Stopped", "goes": "Terminated", "new": "Starting"}
        )
        second.pass_time(200)
        self.assertEqual(heard(second.join()), [])

    def test_a_disk_that_is_full_is_a_word_in_readyz_and_nothing_more(self) -> None:
        gateway = self.begin()
        self.assertIn(b'"reasons":[]', gateway.ready())
        self.disk.full = True
        gateway.join()
        gateway.pass_time(2)
        self.assertIn(b'{"ready":true,"reasons":["the state can\'t be kept; the log says why"]}', gateway.ready())
        self.disk.full = False
        gateway.pass_time(10)
        self.assertIn(b'"reasons":[]', gateway.ready())

    def test_a_client_that_was_not_there_before_is_told_nothing_of_the_past(self) -> None:
        self.begin()
        self.changes_meanwhile()
        self.assertEqual(heard(self.begin(START + 100).join()), [])

    def test_a_client_that_is_still_away_at_another_restart_is_told_all_of_it_once(self) -> None:
        first = self.begin()
        first.join()
        first.pass_time(2)
        self.apply("die", 2, "stops", START + 20, exitCode="3")
        self.begin(START + 100)
        self.apply("destroy", 3, "goes", START + 121)
        third = self.begin(START + 200)
        self.assertEqual(heard(third.join()), ["container update Stopped", "container delete Terminated"])
        self.assertEqual(heard(third.join()), [])

    def test_what_was_told_is_kept_within_a_tenth_of_a_second(self) -> None:
        first = self.begin()
        client = first.join()
        first.pass_time(2)
        self.engine.send(event("die", 2, START + 20, name="stops", exitCode="3"))
        first.reactor.advance(0)
        self.assertEqual(heard(client), ["container update Stopped"])
        first.reactor.advance(0.1)
        self.assertEqual(heard(self.begin(START + 100).join()), [])

    def test_a_polite_stop_keeps_who_listened_and_leaves_what_comes_then_to_the_next(self) -> None:
        first = self.begin()
        client = first.join()
        stopped = first.service.stopService()
        self.engine.send(event("die", 2, START + 20, name="stops", exitCode="3"))
        first.reactor.advance(0)
        self.assertEqual(client.frames()[-1][0], CLOSE)
        client.send(CLOSE, b"\x03\xe9")
        self.successResultOf(stopped)
        self.assertTrue(self.disk.closed)
        self.assertEqual(heard(self.begin(START + 100).join()), ["container update Stopped"])

    def test_nothing_is_told_and_nobody_let_in_before_the_engine_was_looked_at(self) -> None:
        first = self.begin()
        first.join()
        first.pass_time(2)
        self.engine.silent = True
        self.changes_meanwhile()
        second = self.begin(START + 100)
        site = second.reactor.tcpServers[0][1]
        self.assertIn(" 503 ", Wire(site).upgrade("/v1/events", GOOD))
        self.assertFalse(second.platform.synced)
        self.engine.answer_all()
        for _ in range(5):
            self.engine.answer_all()
            second.pass_time(1)
        self.assertEqual(len(heard(second.join())), 3)

    def test_an_engine_that_is_away_at_the_start_of_its_only_gateway_loses_nothing(self) -> None:
        first = self.begin()
        first.join()
        first.pass_time(2)
        self.engine.down = "nobody listens"
        second = self.begin(START + 100)
        self.assertEqual([type(failure) for failure in second.failures], [DockerError])
        self.successResultOf(second.service.stopService())
        self.engine.down = None
        self.changes_meanwhile()
        self.assertEqual(len(heard(self.begin(START + 110).join())), 3)

    def test_of_several_engines_one_that_is_away_keeps_its_objects_and_tells_when_it_is_back(self) -> None:
        other = FakeEngine()
        other.host = "other"
        other.truth.apply(event("create", 9, START + 1, name="far"))
        other.truth.apply(event("start", 9, START + 2, name="far"))
        first = self.begin(START + 10, self.engine, other)
        first.join()
        first.pass_time(2)
        other.down = "no such host"
        other.truth.apply(event("die", 9, START + 20, name="far", exitCode="0"))
        second = self.begin(START + 100, self.engine, other)
        second.pass_time(PATIENCE)
        client = second.join()
        self.assertEqual(heard(client), ["node update Unreachable"])
        self.assertEqual(second.states()["far"], "Running")
        other.down = None
        second.pass_time(30)
        self.assertEqual(heard(client), ["node update Deployed", "container update Stopped"])

    def test_where_the_state_can_not_be_kept_it_does_not_begin(self) -> None:
        self.disk.problem = StateError("/there", "is in use by another gateway")
        gateway = self.begin()
        self.failureResultOf(gateway.service.started, StateError)
        self.assertEqual((gateway.reactor.tcpServers, self.engine.asked), ([], []))
