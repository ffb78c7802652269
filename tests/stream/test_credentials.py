import base64
from urllib.parse import quote, quote_plus

from twisted.trial.unittest import SynchronousTestCase

from tutumstream.net.address import masked
from tutumstream.stream.credentials import Credentials, find, half

BASIC = "Basic " + base64.b64encode(b"alice:k3y:x").decode()
FILE = f'[auth]\nbasic_auth = "{BASIC.split()[1]}"\n'


def headers(environment: dict[str, str], tutum_file: str = "") -> str | None:
    found = find(environment, tutum_file)
    return found.authorization if found else None


class Finding(SynchronousTestCase):
    def test_takes_an_account_and_its_key_under_each_of_their_names(self) -> None:
        for user in ("TUTUM_USERNAME", "TUTUM_USER"):
            for key in ("TUTUM_TOKEN", "TUTUM_APIKEY", "TUTUM_PASS"):
                self.assertEqual(headers({user: "alice", key: "k3y:x"}), BASIC)

    def test_takes_the_whole_header_of_an_api_role_before_everything_else(self) -> None:
        environment = {"TUTUM_AUTH": "ApiKey bob:k", "TUTUM_USERNAME": "alice", "TUTUM_TOKEN": "k3y:x"}
        self.assertEqual(headers(environment, FILE), "ApiKey bob:k")

    def test_prefers_a_key_to_a_password(self) -> None:
        self.assertEqual(headers({"TUTUM_USER": "alice", "TUTUM_PASS": "secret", "TUTUM_APIKEY": "k3y:x"}), BASIC)

    def test_takes_a_user_with_the_key_that_goes_with_it(self) -> None:
        known = {"TUTUM_USERNAME": "bob", "TUTUM_USER": "alice", "TUTUM_APIKEY": "k3y:x"}
        self.assertEqual(headers(known), BASIC)
        self.assertEqual(headers({"TUTUM_USERNAME": "bob", "TUTUM_USER": "alice", "TUTUM_PASS": "k3y:x"}), BASIC)
        self.assertEqual(
            headers({**known, "TUTUM_USERNAME": "alice", "TUTUM_USER": "bob", "TUTUM_TOKEN": "k3y:x"}), BASIC
        )

    def test_takes_the_quotes_off_that_the_command_line_leaves(self) -> None:
        bare = BASIC.split()[1]
        for value in (f'Basic "{bare}"', f'"Basic {bare}"', f" Basic  {bare} "):
            self.assertEqual(headers({"TUTUM_AUTH": value}), BASIC)

    def test_refuses_what_can_not_stand_in_a_header_and_names_where_it_came_from(self) -> None:
        for environment, text, source in (
            ({"TUTUM_AUTH": "Basic abc\r\nX-Evil: 1"}, "", "TUTUM_AUTH"),
            ({"TUTUM_AUTH": "Basic \u00e9"}, "", "TUTUM_AUTH"),
            ({"TUTUM_USERNAME": "a\udcff", "TUTUM_TOKEN": "hush"}, "", "TUTUM_TOKEN"),
            ({}, "[auth]\nbasic_auth = abc\n  X-Evil: 1\n", "~/.tutum"),
        ):
            with self.assertRaises(ValueError) as caught:
                find(environment, text)
            self.assertTrue(str(caught.exception).startswith(f"{source}: "), caught.exception)
            self.assertNotIn("Evil", str(caught.exception))

    def test_say_where_they_are_from_and_what_counts_for_nothing(self) -> None:
        known = {"TUTUM_USER": "a", "TUTUM_APIKEY": "k", "TUTUM_PASS": "p"}
        found = find(known)
        assert found is not None
        self.assertEqual((found.source, found.passed_over), ("TUTUM_USER and TUTUM_APIKEY", ("TUTUM_PASS",)))
        found = find({**known, "TUTUM_AUTH": "Basic YTpr"})
        assert found is not None
        self.assertEqual((found.source, found.passed_over), ("TUTUM_AUTH", tuple(known)))
        found = find({"TUTUM_USER": "a"}, "[auth]\nbasic_auth = YTpr\n")
        assert found is not None
        self.assertEqual((found.source, found.passed_over), ("~/.tutum", ("TUTUM_USER",)))

    def test_of_which_half_is_missing_name_that_half(self) -> None:
        self.assertIn("TUTUM_USER: there is no TUTUM_TOKEN", half({"TUTUM_USER": "a", "TUTUM_TOKEN": ""}))
        self.assertIn("TUTUM_APIKEY: there is no TUTUM_USERNAME", half({"TUTUM_APIKEY": "k"}))
        self.assertEqual((half({}), half({"TUTUM_USER": "a", "TUTUM_PASS": "p"})), ("", ""))
        self.assertEqual(half({"TUTUM_USER": "a", "TUTUM_TOKEN_FILE": "/nowhere"}), "")
        self.assertEqual(half({"TUTUM_USER": "a", "TUTUM_AUTH": "what is wrong with that is told"}), "")

    def test_reads_the_file_of_tutum_login_last(self) -> None:
        self.assertEqual(headers({}, FILE), BASIC)
        self.assertEqual(headers({}, "[auth]\nuser = alice\napikey = k3y:x\n"), BASIC)
        self.assertEqual(headers({}, '[auth]\nuser = "alice"\napikey = "k3y:x"\n'), BASIC)

    def test_finds_nothing_where_there_is_nothing_whole(self) -> None:
        for environment in (
            {},
            {"TUTUM_USERNAME": "alice"},
            {"TUTUM_TOKEN": "k"},
            {"TUTUM_USER": "", "TUTUM_PASS": "p"},
        ):
            self.assertIsNone(headers(environment))
        for text in ("", "\n", "[auth]\n", "[auth]\nuser = alice\n", "[auth]\napikey = k\n", "[auth]\nuser = 100%\n"):
            self.assertIsNone(headers({}, text))

    def test_says_where_something_is_that_can_not_be_used(self) -> None:
        for environment, text, source in (
            ({"TUTUM_AUTH": "hush"}, "", "TUTUM_AUTH"),
            ({"TUTUM_AUTH": "Basic "}, "", "TUTUM_AUTH"),
            ({"TUTUM_USER": "al:hush", "TUTUM_PASS": "hush"}, "", "TUTUM_USER"),
            ({}, "[other]\nhush = hush\n", "~/.tutum"),
            ({}, "hush", "~/.tutum"),
        ):
            with self.assertRaises(ValueError) as caught:
                find(environment, text)
            self.assertTrue(str(caught.exception).startswith(f"{source}: "), caught.exception)
            self.assertNotIn("hush", str(caught.exception))
        self.assertEqual(headers({"TUTUM_USER": "alice", "TUTUM_PASS": "k3y:x"}, "no ini file"), BASIC)

    def test_gives_the_tutorials_query_too(self) -> None:
        pair = find({"TUTUM_USERNAME": "al ice", "TUTUM_TOKEN": "a&b"})
        whole = find({"TUTUM_AUTH": "ApiKey alice:a+b"})
        assert pair is not None
        assert whole is not None
        self.assertEqual(pair.query, "user=al+ice&token=a%26b")
        self.assertEqual(whole.query, "auth=ApiKey+alice%3Aa%2Bb")

    def test_name_the_account_where_they_say_it(self) -> None:
        for header, account in (
            (BASIC, "alice"),
            ("ApiKey bob:k", "bob"),
            ("ApiKey k3y", ""),
            ("Basic " + base64.b64encode(b"k3y").decode(), ""),
            ("Basic a", ""),
            ("Basic " + base64.b64encode(b"alice:\xff").decode(), "alice"),
        ):
            self.assertEqual(Credentials(header, "").account, account, header)

    def test_is_never_seen_in_a_repr(self) -> None:
        self.assertEqual(repr(Credentials("Basic secret", "token=secret")), "Credentials(…)")

    def test_can_be_masked_in_every_form_in_which_a_server_may_quote_them(self) -> None:
        pair = "alice:tok en/sekret"
        whole = base64.b64encode(pair.encode()).decode()
        for environment in (
            {"TUTUM_USER": "alice", "TUTUM_APIKEY": "tok en/sekret"},
            {"TUTUM_AUTH": f"Basic {whole}"},
            {"TUTUM_AUTH": f"ApiKey {pair}"},
            {"TUTUM_AUTH": "Bearer tok en/sekret"},
        ):
            found = find(environment)
            assert found is not None
            for form in (pair, found.authorization, found.query, quote(pair), quote(pair, safe=""), quote_plus(pair)):
                shown = masked(f"I was sent {form}", found.secrets)
                self.assertIn("***", shown)
                for part in ("sekret", whole[4:12]):
                    self.assertNotIn(part, shown)
            # Each is searched for in every message.
            self.assertLessEqual(len(found.secrets), 5)

    def test_can_be_masked_whatever_the_header_holds(self) -> None:
        for header, secrets in (
            ("ApiKey bobx:abcdefghijkl", ("abcdefghijkl",)),  # though all of that can be decoded
            ("Basic abcdefghijklm", ("abcdefghijklm",)),
            ("Basic " + base64.b64encode(b"sekretsekret").decode(), ("c2VrcmV0c2VrcmV0", "sekretsekret")),
        ):
            shown = masked(f"{header} sekretsekret abcdefghijkl", Credentials(header, "").secrets)
            for secret in secrets:
                self.assertNotIn(secret, shown, header)

    def test_leave_out_what_could_be_a_word(self) -> None:
        found = find({"TUTUM_USER": "web", "TUTUM_PASS": "container"})
        assert found is not None
        self.assertNotIn("container", found.secrets)
        self.assertEqual(masked('{"type": "container"}', found.secrets), '{"type": "container"}')
