from collections.abc import Sequence
from pathlib import Path
from typing import Any

import txaio
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.test_service import BusyEndpoint
from tutumstream.errors import ListenError, SettingsError
from tutumstream.gateway.access import Access, Credentials, Presented
from tutumstream.gateway.gate import Gate
from tutumstream.gateway.service import GatewayService
from tutumstream.gateway.settings import Settings, read
from tutumstream.gateway.standalone import Standalone
from tutumstream.gateway.users import HashedKey, hash_key
from tutumstream.status.systemd import Systemd
from tutumstream.testing import ScriptedPlatform

BOB = hash_key("bob", b"b0b", b"s" * 16, cost=(16, 8, 1))


class TestStandalone(SynchronousTestCase):
    def setUp(self) -> None:
        self.addCleanup(setattr, txaio.config, "loop", txaio.config.loop)
        self.reactor = MemoryReactorClock()
        self.fatal: list[Failure] = []
        self.told: list[str] = []
        self.access = Access([Credentials("alice", "k3y")])
        self.file: Sequence[HashedKey] | SettingsError = ()

    def make(self, endpoint: Any = None, **options: Any) -> Standalone:
        environment = {"TUTUM_USERNAME": "alice", "TUTUM_TOKEN": "k3y"}
        settings: Settings = read({"allow": ["logs"], **options}, environment, str, lambda _: BOB.line())
        gate = Gate(self.access, self.reactor)
        gateway = GatewayService(
            self.reactor,
            endpoint or TCP4ServerEndpoint(self.reactor, 0),
            ScriptedPlatform(),
            gate,
            None,
            settings.allow,
        )
        systemd = Systemd(self.told.append, self.reactor, {}, lambda call: call())

        def read_hashed() -> Sequence[HashedKey]:
            if isinstance(self.file, SettingsError):
                raise self.file
            return self.file

        return Standalone(
            gateway=gateway,
            access=self.access,
            settings=settings,
            systemd=systemd,
            fatal=self.fatal.append,
            lines=None,
            read_hashed=read_hashed,
        )

    def test_systemd_hears_when_it_serves_and_when_it_stops(self) -> None:
        service = self.make()
        service.startService()
        self.assertEqual(self.told[0], "READY=1")
        self.successResultOf(service.stopService())
        self.assertEqual(self.told[-1], "STOPPING=1")
        self.assertEqual(self.fatal, [])

    def test_a_port_that_is_taken_is_the_end(self) -> None:
        self.make(BusyEndpoint()).startService()
        self.assertEqual([failure.type for failure in self.fatal], [ListenError])
        self.assertNotIn("READY=1", self.told)

    def test_the_log_says_what_is_allowed(self) -> None:
        with capturedLogs() as logs:
            self.make().startService()
        self.assertIn(
            "read and use logs", str([log.get("log_format", "").format(**log) for log in logs if "more" in log])
        )

    def test_the_log_says_where(self) -> None:
        for endpoint, where in (
            (TCP6ServerEndpoint(self.reactor, 8780, interface="::1"), "[::1]:8780;"),
            (TCP4ServerEndpoint(self.reactor, 8780), "0.0.0.0:8780;"),
        ):
            with capturedLogs() as logs:
                self.make(endpoint).startService()
            (said,) = (log["log_format"].format(**log) for log in logs if "place" in log)
            self.assertTrue(said.startswith(f"Serving at {where}"), said)

    def test_users_are_read_anew_on_demand(self) -> None:
        service = self.make(users=str(Path("/users")))
        self.file = [BOB]
        service.read_users()
        self.assertEqual(self.successResultOf(self.access.checked(Presented(b"bob", b"b0b"))), "bob")

    def test_a_file_with_a_mistake_changes_nothing(self) -> None:
        service = self.make(users="/users")
        self.file = [BOB]
        service.read_users()
        self.file = SettingsError(["/users, line 3: not a line"])
        with capturedLogs() as logs:
            service.read_users()
        self.assertIn("/users, line 3", str(logs[-1]["problem"]))
        self.assertEqual(self.successResultOf(self.access.checked(Presented(b"bob", b"b0b"))), "bob")

    def test_without_a_file_there_is_nothing_to_read(self) -> None:
        self.file = SettingsError(["never asked"])
        self.make().read_users()
