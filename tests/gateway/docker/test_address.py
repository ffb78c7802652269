from twisted.trial.unittest import SynchronousTestCase

from tutumstream.errors import DockerError
from tutumstream.gateway.docker.address import DEFAULT_HOST, parse_docker_host


class ParseDockerHostTests(SynchronousTestCase):
    def refused(self, text: str) -> str:
        return str(self.assertRaises(DockerError, parse_docker_host, text))

    def test_a_unix_address_gives_its_path(self) -> None:
        self.assertEqual(parse_docker_host(DEFAULT_HOST), "/var/run/docker.sock")
        self.assertEqual(parse_docker_host("UNIX:///run/user/1000/podman.sock"), "/run/user/1000/podman.sock")

    def test_other_schemes_are_refused_with_a_way_out(self) -> None:
        for text in ("tcp://10.0.0.1:2376", "ssh://ops@example.org", "npipe:////./pipe/docker_engine", "fd://"):
            said = self.refused(text)
            self.assertIn("only unix:// sockets", said)
            self.assertIn("ssh -nNT -L", said)

    def test_a_bare_path_is_refused_with_the_right_form(self) -> None:
        self.assertIn("unix:///var/run/docker.sock", self.refused("/var/run/docker.sock"))
        self.assertIn("DOCKER_HOST is empty", self.refused(""))

    def test_a_relative_path_is_refused(self) -> None:
        self.assertIn("absolute", self.refused("unix://docker.sock"))
        self.assertIn("absolute", self.refused("unix://"))

    def test_a_path_that_no_socket_can_have_is_refused(self) -> None:
        self.assertEqual(len(parse_docker_host("unix:///" + "x" * 106)), 107)
        self.assertIn("107 bytes", self.refused("unix:///" + "x" * 107))
        self.assertIn("NUL", self.refused("unix:///a\0b"))

    def test_a_password_is_not_repeated(self) -> None:
        self.assertNotIn("s3cret", self.refused("tcp://ops:s3cret@10.0.0.1:2376"))

    def test_what_is_repeated_is_one_short_line(self) -> None:
        said = self.refused("x" * 9999 + "\n")
        self.assertLess(len(said), 300)
        self.assertNotIn("\n", self.refused("a\nb"))
