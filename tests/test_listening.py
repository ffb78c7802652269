from OpenSSL import crypto
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.listening import problem_with, words


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
