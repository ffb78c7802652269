import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tutumstream.errors import SettingsError
from tutumstream.gateway.access import Credentials
from tutumstream.gateway.docker.engines import read_engines
from tutumstream.gateway.settings import LISTEN, Settings, read, read_hashed
from tutumstream.gateway.users import HashedKey

WHO = {"TUTUM_USERNAME": "alice", "TUTUM_TOKEN": "k3y"}
LINE = "bob:scrypt:1024:8:1:c2FsdA==:" + "A" * 43 + "="
FILES = {"/run/token": "from-file\n", "/run/empty": "\n", "/users": LINE, "/nobody": "# none\n", "/bad": f"{LINE}\nx\n"}


def read_text(path: str) -> str:
    if path not in FILES:
        raise FileNotFoundError(2, "No such file or directory", path)
    return FILES[path]


def parse_endpoint(text: str) -> None:
    if not text.startswith(("tcp:", "ssl:")):
        raise ValueError("Unknown endpoint type")


def settings(environment: dict[str, str] | None = None, **options: Any) -> Settings:
    dashed = {name.replace("_", "-"): value for name, value in options.items()}
    return read(dashed, WHO if environment is None else environment, parse_endpoint, read_text)


class TestSettings(SynchronousTestCase):
    def mistakes(self, environment: dict[str, str] | None = None, **options: Any) -> tuple[str, ...]:
        with self.assertRaises(SettingsError) as caught:
            settings(environment, **options)
        return caught.exception.mistakes

    def test_credentials_are_all_that_is_needed(self) -> None:
        found = settings()
        self.assertEqual(found.listen, LISTEN)
        self.assertEqual(found.engines, read_engines([], {}, str.encode))
        self.assertEqual(found.users, (Credentials("alice", "k3y"),))
        self.assertEqual((found.allow, found.query_auth, found.origins), (frozenset(), True, ()))

    def test_nobody_who_may_connect_is_a_mistake_that_says_the_way_out(self) -> None:
        (mistake,) = self.mistakes({})
        self.assertIn("--users", mistake)
        self.assertIn("TUTUM_TOKEN", mistake)

    def test_accounts_come_from_a_file_or_a_secrets_file_too(self) -> None:
        self.assertEqual(settings({}, users="/users").hashed, (HashedKey("bob", (1024, 8, 1), b"salt", bytes(32)),))
        found = settings({"TUTUM_USERNAME": "alice", "TUTUM_TOKEN_FILE": "/run/token"})
        self.assertEqual(found.users, (Credentials("alice", "from-file"),))

    def test_files_that_an_editor_began_with_a_byte_order_mark_are_read_without_it(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        users, token = folder / "users", folder / "token"
        users.write_bytes(b"\xef\xbb\xbf" + LINE.encode() + b"\r\n")
        token.write_bytes(b"\xef\xbb\xbfk3y\r\n")
        files = {"TUTUM_USERNAME": "alice", "TUTUM_TOKEN_FILE": str(token), "TUTUMGATEWAY_USERS": str(users)}
        found = read({}, files, parse_endpoint)
        self.assertEqual((found.users, found.hashed[0].user), ((Credentials("alice", "k3y"),), "bob"))
        self.assertEqual(read_hashed(str(users)), found.hashed)

    def test_credentials_that_are_no_text_are_a_mistake(self) -> None:
        odd = b"\xff".decode("utf-8", "surrogateescape")
        self.assertEqual(
            self.mistakes({"TUTUM_USERNAME": odd, "TUTUM_TOKEN": f"k3y{odd}"}),
            ("TUTUM_USERNAME: it is not UTF-8 text", "TUTUM_TOKEN: it is not UTF-8 text"),
        )

    def test_a_pattern_that_is_too_much_for_python_is_a_mistake(self) -> None:
        for pattern in ("a{99999999999999999999}", "(" * 5000, "("):
            (mistake,) = self.mistakes(WHO, hide_labels=pattern)
            self.assertIn("is no regular expression: ", mistake)

    def test_every_mistake_is_told_at_once_under_the_name_that_was_typed(self) -> None:
        environment = {"TUTUM_USERNAME": "a:b", "TUTUM_TOKEN": "x", "TUTUMGATEWAY_LOG_LEVEL": "loud"}
        mistakes = self.mistakes(
            environment,
            listen="udp:1",
            users="/bad",
            allow=["exec", "logs"],
            engine=["tcp:x"],
            query_auth="perhaps",
            origin=["http://"],
        )
        self.assertEqual(
            sorted(mistake.partition(":")[0] for mistake in mistakes),
            [
                "--allow",
                "--engine",
                "--listen",
                "--origin",
                "--query-auth",
                "--users",
                "TUTUMGATEWAY_LOG_LEVEL",
                "TUTUM_USERNAME",
            ],
        )
        self.assertIn("/bad, line 2", str(mistakes))

    def test_a_key_that_comes_twice_or_by_half_is_a_mistake(self) -> None:
        self.assertIn("set only one", self.mistakes({**WHO, "TUTUM_TOKEN_FILE": "/run/token"})[0])
        self.assertIn("set both", self.mistakes({"TUTUM_USERNAME": "alice"})[0])
        self.assertIn("is empty", self.mistakes({"TUTUM_USERNAME": "alice", "TUTUM_TOKEN_FILE": "/run/empty"})[0])
        self.assertIn("can't be read", self.mistakes({"TUTUM_USERNAME": "a", "TUTUM_TOKEN_FILE": "/nowhere"})[0])
        self.assertIn("names nobody", self.mistakes({}, users="/nobody")[0])
        self.assertIn("No such file", self.mistakes({}, users="/nowhere")[0])

    def test_other_machines_are_served_encrypted_or_on_demand_only(self) -> None:
        (mistake,) = self.mistakes(listen="tcp:8780")
        self.assertIn("--without-tls", mistake)
        self.assertTrue(mistake.startswith("--listen: "))
        for options in ({"listen": "ssl:8780"}, {"listen": "tcp:8780", "without_tls": 1}):
            self.assertEqual(settings(**options).listen, options["listen"])
        allowed = {**WHO, "TUTUMGATEWAY_LISTEN": "tcp:8780", "TUTUMGATEWAY_WITHOUT_TLS": "on"}
        self.assertEqual(settings(allowed).listen, "tcp:8780")

    def test_what_is_allowed_comes_from_options_or_one_variable(self) -> None:
        self.assertEqual(settings(allow=["logs", "control"]).allow, {"logs", "control"})
        self.assertEqual(settings({**WHO, "TUTUMGATEWAY_ALLOW": "logs, Control"}).allow, {"logs", "control"})
        self.assertEqual(settings({**WHO, "TUTUMGATEWAY_ALLOW": "control"}, allow=["logs"]).allow, {"logs"})

    def test_engines_and_scenario(self) -> None:
        self.assertEqual(settings(scenario=True).engines, ())
        self.assertEqual(settings(engine=["home=unix:///x"]).engines, read_engines(["home=unix:///x"], {}, str.encode))
        self.assertEqual(
            settings({**WHO, "DOCKER_HOST": "unix:///y"}).engines, read_engines(["unix:///y"], {}, str.encode)
        )
        self.assertIn("choose one", self.mistakes(scenario=True, engine=["unix:///x"])[0])
        self.assertIn("DOCKER_HOST", self.mistakes({**WHO, "DOCKER_HOST": "nothing"})[0])

    def test_state_goes_where_it_is_told_or_where_systemd_says(self) -> None:
        both = {**WHO, "STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}
        self.assertEqual(settings(both).state_dir, Path("/var/lib/a"))
        self.assertEqual(settings(both, state_dir="/x").state_dir, Path("/x"))

    def test_hosts_whose_pages_may_come_are_named_with_or_without_scheme(self) -> None:
        found = settings({**WHO, "TUTUMGATEWAY_ORIGINS": "https://a.example, b.example:8443 *"})
        self.assertEqual(found.origins, ("a.example", "b.example:8443", "*"))

    def test_a_site_is_its_host_so_whatever_follows_that_is_a_mistake_that_says_so(self) -> None:
        for origin in ("http://a.example/", "a.example/", "https://a.example:443"):
            self.assertEqual(settings(origin=[origin]).origins, ("a.example",), origin)
        for origin in ("http://a.example/shop", "a.example/shop/", "http://u:p@a.example", "http://a.example/?x=1"):
            (mistake,) = self.mistakes(origin=[origin])
            self.assertTrue(mistake.startswith("--origin: "), mistake)
            self.assertTrue(mistake.endswith("say a.example"), mistake)

    def test_what_is_no_endpoint_is_told_with_one_that_is_ours(self) -> None:
        (mistake,) = self.mistakes(listen="foo:")
        self.assertIn(f"{LISTEN} is one", mistake)
        self.assertIn("8780", mistake)

    def test_labels_and_command_lines_can_be_hidden(self) -> None:
        found = settings(hide_labels="(?i)token", hide_commands=1).conceal
        assert found.labels is not None
        self.assertEqual((found.labels.pattern, found.commands), ("(?i)token", True))
        self.assertIn("--hide-labels: '(' is no regular expression", self.mistakes(hide_labels="(")[0])

    def test_secrets_are_not_shown(self) -> None:
        self.assertNotIn("s3cret", repr(settings({"TUTUM_USERNAME": "alice", "TUTUM_TOKEN": "s3cret"})))
        self.assertNotIn("s3cret", str(self.mistakes({"TUTUM_TOKEN": "s3cret"}, users="/bad")))

    def test_the_file_of_users_can_be_read_again_by_itself(self) -> None:
        self.assertEqual([one.user for one in read_hashed("/users", read_text)], ["bob"])
        with self.assertRaises(SettingsError) as caught:
            read_hashed("/bad", read_text)
        self.assertTrue(caught.exception.mistakes[0].startswith("/bad, line 2: "))

    def test_a_pipe_of_users_is_not_waited_for_again(self) -> None:
        pipe = self.mktemp()
        os.mkfifo(pipe)
        with self.assertRaises(SettingsError) as caught:
            read_hashed(pipe)
        self.assertIn("a pipe, which can be read only once; name a file", caught.exception.mistakes[0])
