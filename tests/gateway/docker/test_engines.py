import hashlib
import json

import trustme
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.errors import SettingsError
from tutumstream.gateway.docker.address import Ssh, Tcp, Unix
from tutumstream.gateway.docker.engines import Engine, read_engines

AUTHORITY = trustme.CA()
OWN = AUTHORITY.issue_cert("client.example")
CA = AUTHORITY.cert_pem.bytes()
CERT = OWN.cert_chain_pems[0].bytes()
KEY = OWN.private_key_pem.bytes()


def context(name: str, host: str, home: str = "/home/me/.docker") -> dict[str, bytes]:
    folder = hashlib.sha256(name.encode()).hexdigest()
    meta = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
    return {f"{home}/contexts/meta/{folder}/meta.json": json.dumps(meta).encode()}


def certificates(folder: str) -> dict[str, bytes]:
    return {f"{folder}/ca.pem": CA, f"{folder}/cert.pem": CERT, f"{folder}/key.pem": KEY}


class EnginesCase(SynchronousTestCase):
    files: dict[str, bytes]

    def setUp(self) -> None:
        self.files = {}

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", path)
        if self.files[path] == b"locked":
            raise PermissionError(13, "Permission denied", path)
        return self.files[path]

    def found(self, *named: str, **environment: str) -> tuple[Engine, ...]:
        return read_engines(named, environment, self.read)

    def mistakes(self, *named: str, **environment: str) -> tuple[str, ...]:
        return self.assertRaises(SettingsError, self.found, *named, **environment).mistakes


class NamedEngines(EnginesCase):
    def test_are_named_by_the_user_or_after_their_address(self) -> None:
        found = self.found("a=unix:///a", "unix:///b", "tcp://db:2375", "ssh://me@web/run/x.sock")
        self.assertEqual([one.name for one in found], ["a", "local", "db", "web"])
        self.assertEqual(found[0], Engine("a", "unix:///a", Unix("/a")))

    def test_need_names_and_addresses_of_their_own(self) -> None:
        (mistake,) = self.mistakes("unix:///a", "unix:///b")
        self.assertIn("2 engines are named local", mistake)
        (mistake,) = self.mistakes("a=unix:///a", "b=unix:///a")
        self.assertIn("unix:///a is named twice", mistake)

    def test_all_mistakes_are_told_at_once(self) -> None:
        told = self.mistakes("=unix:///a", "a b=unix:///b", "c=nothing", "context://none")
        self.assertEqual(len(told), 4)
        self.assertTrue(all(one.startswith("--engine: ") for one in told), told)

    def test_beat_the_environment(self) -> None:
        self.assertEqual(self.found("unix:///a", DOCKER_HOST="unix:///b")[0].url, "unix:///a")


class DockersVariables(EnginesCase):
    def test_nothing_set_is_the_local_socket(self) -> None:
        self.assertEqual(self.found(), (Engine("local", "unix:///var/run/docker.sock", Unix("/var/run/docker.sock")),))
        self.assertEqual(self.found(DOCKER_HOST=" ", HOME="/home/me")[0].name, "local")

    def test_a_host_beats_a_context_and_a_context_the_current_one(self) -> None:
        self.files = {
            **context("one", "ssh://one.example"),
            **context("two", "unix:///two"),
            "/home/me/.docker/config.json": b'{"currentContext": "two"}',
        }
        self.assertEqual(self.found(HOME="/home/me")[0], Engine("two", "unix:///two", Unix("/two")))
        self.assertEqual(self.found(HOME="/home/me", DOCKER_CONTEXT="one")[0].address, Ssh("one.example"))
        self.assertEqual(self.found(HOME="/home/me", DOCKER_CONTEXT="default")[0].name, "local")
        self.assertEqual(self.found(HOME="/home/me", DOCKER_CONTEXT="one", DOCKER_HOST="unix:///x")[0].url, "unix:///x")
        self.assertEqual(
            [one.name for one in self.found("context://one", "context://two", HOME="/home/me")], ["one", "two"]
        )

    def test_the_folder_of_the_settings_can_be_elsewhere(self) -> None:
        self.files = context("one", "unix:///one", "/etc/docker-client")
        self.assertEqual(self.found(DOCKER_CONFIG="/etc/docker-client", DOCKER_CONTEXT="one")[0].url, "unix:///one")

    def test_a_context_that_can_not_be_used_says_why(self) -> None:
        self.assertIn("no such context", self.mistakes(HOME="/home/me", DOCKER_CONTEXT="none")[0])
        self.assertIn("HOME", self.mistakes(DOCKER_CONTEXT="none")[0])
        (path,) = context("bad", "x")
        for content, words in ((b"{", "can't be read"), (b"[]", "names no Docker endpoint")):
            self.files = {path: content}
            self.assertIn(words, self.mistakes(HOME="/home/me", DOCKER_CONTEXT="bad")[0])
        self.files = {"/home/me/.docker/config.json": b"{"}
        self.assertIn("config.json: it can't be read", self.mistakes(HOME="/home/me")[0])


class Tls(EnginesCase):
    def address(self, **environment: str) -> Tcp:
        address = self.found(DOCKER_HOST="tcp://h", **environment)[0].address
        assert isinstance(address, Tcp)
        return address

    def test_is_spoken_where_either_variable_is_set(self) -> None:
        self.files = {**certificates("/c"), **certificates("/home/me/.docker")}
        self.assertEqual((self.address().tls, self.address().port), (None, 2375))
        for environment in (
            {"DOCKER_CERT_PATH": "/c"},
            {"DOCKER_CERT_PATH": "/c", "DOCKER_TLS_VERIFY": "1"},
            {"HOME": "/home/me", "DOCKER_TLS_VERIFY": "1"},
        ):
            address = self.address(**environment)
            assert address.tls is not None
            self.assertEqual((address.port, address.tls.ca), (2376, CA))
            self.assertIn(CERT, address.tls.own)

    def test_is_not_left_out_where_there_are_no_certificates(self) -> None:
        address = self.address(HOME="/home/me", DOCKER_TLS_VERIFY="1")
        assert address.tls is not None
        self.assertEqual((address.port, address.tls.ca, address.tls.own), (2376, b"", b""))

    def test_of_a_context_is_its_own(self) -> None:
        folder = hashlib.sha256(b"one").hexdigest()
        tls = certificates(f"/home/me/.docker/contexts/tls/{folder}/docker")
        self.files = {**context("one", "tcp://h:2376"), **tls}
        address = self.found("context://one", HOME="/home/me")[0].address
        assert isinstance(address, Tcp)
        assert address.tls is not None
        self.files = context("one", "tcp://h:2375")
        self.assertEqual(self.found("context://one", HOME="/home/me")[0].address, Tcp("h", 2375))

    def test_mistakes_in_certificates_are_told_at_the_start(self) -> None:
        other = trustme.CA().issue_cert("x.example").private_key_pem.bytes()
        for change, words in (
            ({"/c/ca.pem": b"x"}, "ca.pem in /c holds no certificate"),
            ({"/c/key.pem": b"x"}, "cert.pem and key.pem in /c can't be used"),
            ({"/c/key.pem": other}, "do not belong together"),
            ({"/c/key.pem": b""}, "key.pem is missing"),
            ({"/c/cert.pem": b""}, "cert.pem is missing"),
            ({"/c/key.pem": b"locked"}, "Permission denied"),
        ):
            self.files = {**certificates("/c"), **change}
            (mistake,) = self.mistakes(DOCKER_HOST="tcp://h", DOCKER_CERT_PATH="/c")
            self.assertIn(words, mistake)
        self.files = certificates("/c")
        for host, words in (
            ("an_underscore", "Codepoint U+005F"),
            ("ab--cd.example", "Label has disallowed hyphens"),
        ):
            (mistake,) = self.mistakes(DOCKER_HOST=f"tcp://{host}", DOCKER_CERT_PATH="/c")
            self.assertIn(f"no certificate can be for {host}: {words}", mistake)
        self.files = {**certificates("/c"), "/c/key.pem": b"-----BEGIN ENCRYPTED PRIVATE KEY-----"}
        self.assertIn("has a password", self.mistakes(DOCKER_HOST="tcp://h", DOCKER_CERT_PATH="/c")[0])
        self.files = {}
        self.assertIn("there is none of", self.mistakes(DOCKER_HOST="tcp://h", DOCKER_CERT_PATH="/c")[0])
        self.assertIn("HOME", self.mistakes(DOCKER_HOST="tcp://h", DOCKER_TLS_VERIFY="1")[0])
