import os
import shutil
import tempfile
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any

from OpenSSL import crypto
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.listening import problem_with, server, words


def taken(_: str) -> object:
    raise FileNotFoundError(2, "No such file or directory", "/no/key.pem")


class AnEndpoint(SynchronousTestCase):
    def test_without_a_fault_has_no_problem(self) -> None:
        for text in ("tcp:0", "tcp:65535:interface=::1", "tcp:0000080", "unix:/run/x.sock"):
            self.assertEqual(problem_with(text, lambda _: object()), "")

    def test_with_a_port_that_there_is_not_says_how_far_they_go(self) -> None:
        for text in ("tcp:99999", "tcp6:port=65536", "ssl:70000:privateKey=x", "tcp:-1", "tcp:" + "9" * 5000):
            self.assertIn("they end at 65535", problem_with(text, lambda _: object()))

    def test_whose_key_can_not_be_read_names_the_file(self) -> None:
        self.assertIn("No such file or directory: /no/key.pem", problem_with("ssl:443", taken))

    def test_whose_key_is_no_key_says_so(self) -> None:
        def broken(_: str) -> object:
            raise crypto.Error([("DECODER routines", "", "unsupported")])

        self.assertIn("not in PEM form", problem_with("ssl:443", broken))

    def test_that_is_taken_is_named(self) -> None:
        problem = CannotListenError("127.0.0.1", 8788, OSError(98, "Address already in use"))
        self.assertEqual(words(problem), "Address already in use: 127.0.0.1:8788")

    def test_in_a_folder_that_there_is_not_names_the_file(self) -> None:
        problem = FileNotFoundError(2, "No such file or directory", "17", None, b"/nonexist/x.lock")
        self.assertEqual(words(problem), "No such file or directory: /nonexist/x.lock")

    def test_with_a_number_that_no_system_takes_says_so(self) -> None:
        self.assertEqual(
            words(OverflowError("Python int too large to convert to C int")), "a number in it is too large"
        )

    def test_of_unix_that_is_taken_is_named(self) -> None:
        problem = CannotListenError(None, b"/run/x.sock", "Cannot acquire lock")
        self.assertEqual(words(problem), "Cannot acquire lock: /run/x.sock")


class AUnixSocket(SynchronousTestCase):
    def setUp(self) -> None:
        # A short name: a socket's path has room for a hundred letters.
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = self.folder / "x.sock"
        self.lock = self.folder / "x.sock.lock"
        self.reactor = MemoryReactor()

    def bound(self) -> socket:
        """A socket with the lock of a process that is there: in a container all have the same number."""
        bound = socket(AF_UNIX)
        self.addCleanup(bound.close)
        bound.bind(str(self.path))
        self.lock.symlink_to(str(os.getpid()))
        return bound

    def listen(self) -> Any:
        self.successResultOf(server(self.reactor, f"unix:{self.path}").listen(Factory()))
        return self.reactor.unixServers

    def test_that_a_killed_service_left_is_taken_away_with_its_lock(self) -> None:
        self.bound().close()
        self.assertEqual(len(self.listen()), 1)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_whose_lock_alone_was_left_is_free(self) -> None:
        self.bound().close()
        self.path.unlink()
        self.listen()
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_at_which_somebody_listens_stays(self) -> None:
        self.bound().listen()
        self.listen()
        self.assertEqual({each.name for each in self.folder.iterdir()}, {"x.sock", "x.sock.lock"})

    def test_that_is_another_file_stays(self) -> None:
        self.path.write_text("precious")
        self.listen()
        self.assertEqual(self.path.read_text(), "precious")

    def test_leaves_a_lock_that_is_of_another_kind(self) -> None:
        self.lock.write_text("precious")
        self.listen()
        self.assertEqual(self.lock.read_text(), "precious")
        self.lock.unlink()
        self.lock.symlink_to("elsewhere")
        self.listen()
        self.assertTrue(self.lock.is_symlink())


class AnotherEndpoint(SynchronousTestCase):
    def test_is_the_one_that_was_named(self) -> None:
        reactor = MemoryReactor()
        self.successResultOf(server(reactor, "tcp:8788:interface=127.0.0.1").listen(Factory()))
        self.assertEqual(reactor.tcpServers[0][0], 8788)
