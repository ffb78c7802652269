from typing import Any

from twisted.internet.error import ConnectionDone, ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.gateway.docker.address import Ssh
from tutumstream.gateway.docker.explain import explain
from tutumstream.gateway.docker.ssh import SshEndedError, SshEndpoint, command


class Speaker(Protocol):
    heard = b""
    lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


class Process:
    """A process that only remembers what was done to it."""

    def __init__(self) -> None:
        self.said: list[object] = []
        self.ended = False

    def write(self, data: bytes) -> None:
        self.said.append(data)

    def loseConnection(self) -> None:
        self.said.append("closed")

    def signalProcess(self, name: str) -> None:
        if self.ended:
            raise ProcessExitedAlready
        self.said.append(name)

    def pauseProducing(self) -> None:
        self.said.append("paused")

    def resumeProducing(self) -> None:
        self.said.append("resumed")


class Reactor(MemoryReactorClock):
    def spawnProcess(self, protocol: Any, executable: Any, args: Any = (), env: Any = None, *_: Any, **__: Any) -> Any:
        self.spawned = (protocol, executable, args, env)
        self.process = Process()
        protocol.makeConnection(self.process)
        return self.process


class TheCommand(SynchronousTestCase):
    def test_asks_nobody_and_ends_the_options_before_the_host(self) -> None:
        words = command(Ssh("box", "me", 2222, "/run/docker.sock"))
        self.assertEqual(words[:2], ["ssh", "-T"])
        self.assertIn("BatchMode=yes", words)
        self.assertEqual(words[words.index("-l") :][:4], ["-l", "me", "-p", "2222"])
        rest = ["--", "box", "docker", "--host", "unix:///run/docker.sock", "system", "dial-stdio"]
        self.assertEqual(words[words.index("--") :], rest)

    def test_leaves_to_ssh_and_docker_what_is_not_said(self) -> None:
        words = command(Ssh("box"))
        self.assertEqual(words[words.index("--") :], ["--", "box", "docker", "system", "dial-stdio"])
        self.assertNotIn("-l", words)
        self.assertNotIn("-p", words)


class TheEndpoint(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        environment = {"HOME": "/home/me", "SSH_AUTH_SOCK": "/agent", "SLACK_URL": "https://s3cret"}
        endpoint = SshEndpoint(self.reactor, Ssh("box"), environment)
        connected: Any = endpoint.connect(Factory.forProtocol(Speaker))
        self.speaker: Any = self.successResultOf(connected)
        self.ssh = self.reactor.spawned[0]

    def test_starts_ssh_without_a_shell_and_without_our_secrets(self) -> None:
        _, executable, words, environment = self.reactor.spawned
        self.assertEqual((executable, words), ("ssh", command(Ssh("box"))))
        self.assertEqual(environment, {"HOME": "/home/me", "SSH_AUTH_SOCK": "/agent"})

    def test_carries_both_ways(self) -> None:
        self.speaker.transport.write(b"GET")
        self.speaker.transport.pauseProducing()
        self.speaker.transport.resumeProducing()
        self.ssh.outReceived(b"200")
        self.assertEqual((self.reactor.process.said, self.speaker.heard), ([b"GET", "paused", "resumed"], b"200"))

    def test_ends_ssh_with_the_connection(self) -> None:
        self.speaker.transport.loseConnection()
        self.assertEqual(self.reactor.process.said, ["closed", "TERM"])
        self.ssh.processEnded(Failure(ProcessTerminated(signal=15)))
        self.assertTrue(self.speaker.lost.check(ConnectionDone))
        self.reactor.process.ended = True
        self.speaker.transport.abortConnection()

    def test_an_end_on_the_other_side_is_an_end(self) -> None:
        self.ssh.processEnded(Failure(ProcessDone(0)))
        self.assertTrue(self.speaker.lost.check(ConnectionDone))

    def test_says_what_ssh_said(self) -> None:
        self.ssh.errReceived(b"Warning\r\nHost key verification ")
        self.ssh.errReceived(b"failed.\r\n")
        self.ssh.processEnded(Failure(ProcessTerminated(255)))
        self.assertTrue(self.speaker.lost.check(SshEndedError))
        said = self.speaker.lost.value.words
        self.assertIn("ssh says: Host key verification failed.; as this user, `ssh box docker version`", said)
        self.assertIn("Host key", explain(self.speaker.lost.value))

    def test_says_how_ssh_ended_where_it_said_nothing(self) -> None:
        self.ssh.processEnded(Failure(ProcessTerminated(255)))
        self.assertIn("255", self.speaker.lost.value.words)
