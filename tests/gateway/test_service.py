from typing import Any

import txaio
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.wire import ACCESS, CLOSE, GOOD, Wire
from tutumstream.errors import DockerError
from tutumstream.gateway.gate import Gate
from tutumstream.gateway.platform import Change
from tutumstream.gateway.service import GatewayService
from tutumstream.testing import ScriptedPlatform

GATE = Gate(ACCESS, Clock())
CHANGE = Change(type="node", action="update", state="Deployed", resource_uri="/api/v1/node/n/")


class BusyEndpoint:
    """Another program has the port."""

    def listen(self, _factory: object) -> Deferred[Any]:
        """Fail."""
        return fail(CannotListenError("127.0.0.1", 8780, OSError("in use")))


class TestGatewayService(SynchronousTestCase):
    def setUp(self) -> None:
        self.addCleanup(setattr, txaio.config, "loop", txaio.config.loop)
        self.reactor = MemoryReactorClock()
        self.failures: list[Exception] = []

    def serve(self, platform: ScriptedPlatform) -> GatewayService:
        endpoint = TCP4ServerEndpoint(self.reactor, 0)
        service = GatewayService(self.reactor, endpoint, platform, GATE, self.failures.append)
        service.startService()
        return service

    def join(self) -> Wire:
        wire = Wire(self.reactor.tcpServers[0][1])
        wire.upgrade("/v1/events", GOOD)
        wire.frames()
        return wire

    def test_it_listens_then_starts_the_platform_and_tells_its_changes(self) -> None:
        platform = ScriptedPlatform()
        service = self.serve(platform)
        port = self.successResultOf(service.started)
        self.assertIsNotNone(port.getHost())
        self.assertTrue(platform.running)
        wire = self.join()
        platform.emit(CHANGE)
        self.reactor.advance(0)
        self.assertEqual(wire.messages()[0]["state"], "Deployed")

    def test_it_stops_clients_first_then_the_platform(self) -> None:
        platform = ScriptedPlatform()
        service = self.serve(platform)
        wire = self.join()
        stopped = service.stopService()
        ((opcode, payload),) = wire.frames()
        self.assertEqual((opcode, payload[:2]), (CLOSE, b"\x03\xe9"))
        self.assertTrue(platform.running)
        platform.emit(CHANGE)
        self.assertEqual(wire.frames(), [])
        wire.send(CLOSE, b"\x03\xe9")
        self.successResultOf(stopped)
        self.assertFalse(platform.running)
        self.assertEqual(self.failures, [])

    def test_stopping_before_the_platform_started_gives_up_waiting_for_it(self) -> None:
        starting: Deferred[None] = Deferred()
        service = self.serve(ScriptedPlatform(starting))
        self.successResultOf(service.started)
        self.successResultOf(service.stopService())
        self.assertEqual(self.failures, [])

    def test_stopping_a_service_that_never_started_is_harmless(self) -> None:
        endpoint = TCP4ServerEndpoint(self.reactor, 0)
        service = GatewayService(self.reactor, endpoint, ScriptedPlatform(), GATE)
        self.successResultOf(service.stopService())

    def test_a_platform_that_cannot_start_is_logged_and_reported_and_the_gateway_stays(self) -> None:
        problem = DockerError("unix:///run/docker.sock", "nobody listens there")
        with capturedLogs() as logs:
            service = self.serve(ScriptedPlatform(fail(problem)))
        self.successResultOf(service.started)
        self.assertEqual(self.failures, [problem])
        self.assertEqual([log["problem"] for log in logs if log["log_level"] is LogLevel.error], [problem])

    def test_a_platform_with_a_bug_is_logged_with_its_traceback(self) -> None:
        service = self.serve(ScriptedPlatform(fail(ZeroDivisionError())))
        self.successResultOf(service.started)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.failures), 1)

    def test_without_anybody_to_report_to_the_log_is_enough(self) -> None:
        platform = ScriptedPlatform(fail(DockerError("x", "y")))
        service = GatewayService(self.reactor, TCP4ServerEndpoint(self.reactor, 0), platform, GATE)
        with capturedLogs() as logs:
            service.startService()
        self.assertEqual(len([log for log in logs if log["log_level"] is LogLevel.error]), 1)

    def test_a_port_that_is_taken_fails_the_start_and_leaves_the_platform_alone(self) -> None:
        platform = ScriptedPlatform()
        service = GatewayService(self.reactor, BusyEndpoint(), platform, GATE)
        service.startService()
        self.failureResultOf(service.started, CannotListenError)
        self.assertFalse(platform.running)
        self.successResultOf(service.stopService())

    def test_an_interruption_closes_the_clients_and_lets_them_come_back(self) -> None:
        service = self.serve(ScriptedPlatform())
        wire = self.join()
        service.interrupt()
        self.assertEqual([opcode for opcode, _ in wire.frames()], [CLOSE])
        self.assertEqual(self.join().frames(), [])

    def test_clients_get_503_until_the_platform_knows_its_objects(self) -> None:
        starting: Deferred[None] = Deferred()
        service = self.serve(ScriptedPlatform(starting))
        ready = service.ready()
        self.assertIn(" 503 the gateway does not know", Wire(self.reactor.tcpServers[0][1]).upgrade("/v1/events", GOOD))
        self.assertNoResult(ready)
        starting.callback(None)
        self.successResultOf(ready)
        self.assertEqual(self.join().frames(), [])
        self.successResultOf(service.ready())

    def test_a_platform_that_can_not_start_is_never_ready(self) -> None:
        service = self.serve(ScriptedPlatform(fail(DockerError("unix:///x", "nobody listens there"))))
        self.assertNoResult(service.ready())

    def test_clients_are_sent_away_while_nothing_can_be_seen_and_then_told_what_they_missed(self) -> None:
        platform = ScriptedPlatform()
        self.serve(platform)
        wire = self.join()
        platform.lose("the engine hangs")
        platform.lose("the engine is gone")
        self.assertEqual(wire.frames(), [(CLOSE, b"\x03\xe9the engine hangs")])
        refused = Wire(self.reactor.tcpServers[0][1]).upgrade("/v1/events", GOOD)
        self.assertIn(" 503 the engine hangs; the engine is gone", refused)
        platform.emit(CHANGE)
        platform.find()
        back = Wire(self.reactor.tcpServers[0][1])
        back.upgrade("/v1/events", GOOD)
        self.assertEqual([one["type"] for one in back.messages()], ["auth", "node"])

    def test_clients_stay_while_something_can_be_seen(self) -> None:
        platform = ScriptedPlatform()
        self.serve(platform)
        wire = self.join()
        platform.lose("one of the engines", everything=False)
        self.assertEqual(wire.frames(), [])
        self.join()
