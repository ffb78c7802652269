from twisted.trial.unittest import SynchronousTestCase

from tutumstream.errors import DockerError
from tutumstream.gateway.docker.address import DEFAULT_HOST, Certificates, Ssh, Tcp, Unix, parse_docker_host


class ParseDockerHostTests(SynchronousTestCase):
    def refused(self, text: str) -> str:
        return str(self.assertRaises(DockerError, parse_docker_host, text))

    def test_a_unix_address_gives_its_path(self) -> None:
        self.assertEqual(parse_docker_host(DEFAULT_HOST), Unix("/var/run/docker.sock"))
        self.assertEqual(parse_docker_host("UNIX:///run/user/1000/podman.sock"), Unix("/run/user/1000/podman.sock"))

    def test_a_tcp_address_gives_host_and_port(self) -> None:
        tls = Certificates("/certs", b"x")
        self.assertEqual(parse_docker_host("tcp://socket-proxy:2375"), Tcp("socket-proxy", 2375))
        self.assertEqual(parse_docker_host("tcp://10.0.0.1"), Tcp("10.0.0.1", 2375))
        self.assertEqual(parse_docker_host("tcp://[::1]:99/", tls), Tcp("::1", 99, tls))
        self.assertEqual(parse_docker_host("tcp://h", tls), Tcp("h", 2376, tls))

    def test_a_tcp_address_may_have_any_name_that_can_be_looked_up(self) -> None:
        for host in ("an_underscore", "my--es", "es-", "web.1-", "h.example."):
            self.assertEqual(parse_docker_host(f"tcp://{host}"), Tcp(host, 2375))
        for host in ("a_b..c", "x" * 64):
            self.assertIn("no host can be called so", self.refused(f"tcp://{host}:2375"))

    def test_an_ssh_address_gives_what_ssh_has_to_be_told(self) -> None:
        self.assertEqual(parse_docker_host("ssh://Ops_1"), Ssh("Ops_1"))
        self.assertEqual(parse_docker_host("ssh://any..entry"), Ssh("any..entry"))
        self.assertEqual(parse_docker_host("ssh://me@h.example:2222"), Ssh("h.example", "me", 2222))
        self.assertEqual(parse_docker_host("ssh://h/run/docker.sock"), Ssh("h", "", 0, "/run/docker.sock"))

    def test_nothing_that_ssh_or_a_shell_could_misunderstand_gets_through(self) -> None:
        for text in (
            "ssh://-oProxyCommand=x",
            "ssh://h -o x",
            "ssh://h;reboot",
            "ssh://$(x)",
            "ssh://-l@h",
            "ssh://a b@h",
            "ssh://h/run/$(reboot).sock",
            "ssh://h/run/a b",
            "ssh://h/run/x;y",
            "ssh://h\n-oX",
            "ssh://",
            "ssh://h?x",
            "ssh://h:0",
            "ssh://h:99999",
            "tcp://",
            "tcp://h:x",
            "tcp://h/path",
            "tcp://me@h",
        ):
            self.assertLess(len(self.refused(text)), 400, text)

    def test_a_password_for_ssh_is_refused_and_not_repeated(self) -> None:
        said = self.refused("ssh://ops:s3cret@10.0.0.1")
        self.assertIn("key", said)
        self.assertNotIn("s3cret", said)
        self.assertNotIn("s3cret", self.refused("tcp://ops:s3cret@10.0.0.1:2376"))

    def test_other_schemes_are_refused_with_a_way_out(self) -> None:
        for text in ("npipe:////./pipe/docker_engine", "fd://", "http://h:2375"):
            self.assertIn("unix://, tcp:// or ssh://", self.refused(text))

    def test_a_bare_path_is_refused_with_the_right_form(self) -> None:
        self.assertIn("unix:///var/run/docker.sock", self.refused("/var/run/docker.sock"))
        self.assertIn("(empty)", self.refused(""))

    def test_a_relative_path_is_refused(self) -> None:
        self.assertIn("absolute", self.refused("unix://docker.sock"))
        self.assertIn("absolute", self.refused("unix://"))

    def test_a_path_that_no_socket_can_have_is_refused(self) -> None:
        self.assertEqual(parse_docker_host("unix:///" + "x" * 106), Unix("/" + "x" * 106))
        self.assertIn("107 bytes", self.refused("unix:///" + "x" * 107))
        self.assertIn("NUL", self.refused("unix:///a\0b"))

    def test_what_is_repeated_is_one_short_line(self) -> None:
        said = self.refused("x" * 9999 + "\n")
        self.assertLess(len(said), 300)
        self.assertNotIn("\n", self.refused("a\nb"))

    def test_keys_are_not_shown(self) -> None:
        self.assertNotIn("s3cret", repr(Tcp("h", 1, Certificates("/c", b"", b"s3cret"))))
