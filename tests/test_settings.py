import re
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tutumstream.errors import SettingsError
from tutumstream.journal.interface import Limits
from tutumstream.settings import NAMES, Settings, read
from tutumstream.variables import slips

WHO = {"TUTUM_USERNAME": "alice", "TUTUM_TOKEN": "k3y"}
FILES = {"/run/token": "from-file\n", "/run/empty": "\n", "/broken/.tutum": "hush"}


def read_text(path: str) -> str:
    if path == "/closed/.tutum":
        raise PermissionError(13, "Permission denied", path)
    if path not in FILES:
        raise FileNotFoundError(2, "No such file or directory", path)
    return FILES[path]


def parse_endpoint(text: str) -> None:
    if not text.startswith("tcp:"):
        raise ValueError("Unknown endpoint type")


def settings(environment: dict[str, str] | None = None, **options: Any) -> Settings:
    dashed = {name.replace("_", "-"): value for name, value in options.items()}
    return read(dashed, WHO if environment is None else environment, parse_endpoint, read_text)


class SettingsCase(SynchronousTestCase):
    def mistakes(self, environment: dict[str, str], **options: Any) -> tuple[str, ...]:
        with self.assertRaises(SettingsError) as caught:
            settings(environment, **options)
        return caught.exception.mistakes


class TheTutorialsVariables(SettingsCase):
    def test_are_all_that_is_needed(self) -> None:
        found = settings({**WHO, "SLACK_URL": "https://hooks.example/x", "PAGERDUTY_KEY": "pd"})
        self.assertEqual(found.source, "stream")
        self.assertEqual(found.stream_url, "wss://stream.tutum.co/v1/events")
        self.assertEqual(found.api_url, "https://dashboard.tutum.co")
        assert found.credentials is not None
        self.assertEqual(found.credentials.authorization, "Basic YWxpY2U6azN5")
        assert found.slack_url is not None
        self.assertEqual(found.slack_url.get_secret_value(), "https://hooks.example/x")
        assert found.pagerduty is not None
        self.assertEqual((found.pagerduty.key.get_secret_value(), found.pagerduty.api), ("pd", "v1"))

    def test_leave_out_each_destination_that_has_none(self) -> None:
        found = settings()
        self.assertEqual((found.slack_url, found.pagerduty, found.webhook, found.elasticsearch), (None,) * 4)

    def test_that_are_empty_are_not_set(self) -> None:
        self.assertIsNone(settings({**WHO, "SLACK_URL": "", "PAGERDUTY_KEY": " "}).slack_url)

    def test_may_name_the_stream_as_the_sdks_did(self) -> None:
        for variables, url in (
            ({"TUTUM_STREAM_HOST": "ws://here:81"}, "ws://here:81/v1/events"),
            ({"TUTUM_STREAM_HOST": "ws://here:81/"}, "ws://here:81/v1/events"),
            ({"TUTUM_STREAM_URL": "wss://here/v1/"}, "wss://here/v1/events"),
            ({"TUTUM_STREAM_URL": "wss://here/v1/events", "TUTUM_STREAM_HOST": "ws://other"}, "wss://here/v1/events"),
        ):
            self.assertEqual(settings({**WHO, **variables}).stream_url, url)

    def test_may_not_name_more_of_the_stream_than_its_path(self) -> None:
        for name in ("TUTUM_STREAM_HOST", "TUTUM_STREAM_URL"):
            for url, why in (
                ("ws://here/v1/#hidden", "leave out everything from ? or # on"),
                ("ws://here/v1/events?token=hidden", "leave out everything from ? or # on"),
                ("wss://me:hidden@here/v1", "user and password have no place in the URL: set TUTUM_USER"),
                ("ws://here:0", "no valid host and port"),
                ("wss://an_underscore/v1", "no certificate can be for this host"),
            ):
                (line,) = self.mistakes({**WHO, name: url})
                self.assertTrue(line.startswith(f"{name}: "), line)
                self.assertIn(why, line)
                self.assertNotIn("hidden", line)

    def test_may_choose_the_routes(self) -> None:
        self.assertEqual(settings().routes, "tutorial")
        self.assertEqual(settings({**WHO, "TUTUMSTREAM_ROUTES": "Problems"}).routes, "problems")

    def test_may_name_the_api_as_the_sdks_did(self) -> None:
        self.assertEqual(settings({**WHO, "TUTUM_REST_HOST": "http://here:82"}).api_url, "http://here:82")
        both = {"TUTUM_BASE_URL": "http://there/api/v1/", "TUTUM_REST_HOST": "http://here"}
        self.assertEqual(settings({**WHO, **both}).api_url, "http://there")

    def test_may_ask_for_the_tutorials_way_of_authentication(self) -> None:
        self.assertFalse(settings().query_auth)
        self.assertTrue(settings({**WHO, "TUTUM_STREAM_AUTH": "query"}).query_auth)

    def test_may_name_types_whose_deletion_pages(self) -> None:
        found = settings({**WHO, "PAGERDUTY_KEY": "pd", "PAGERDUTY_ON_DELETE": "stack, node"})
        assert found.pagerduty is not None
        self.assertEqual(found.pagerduty.on_delete, ("stack", "node"))

    def test_may_set_a_webhook_with_its_secret(self) -> None:
        found = settings({**WHO, "WEBHOOK_URL": "http://here/hook", "WEBHOOK_SECRET": "s"})
        assert found.webhook is not None
        assert found.webhook.secret is not None
        self.assertEqual(found.webhook.secret.get_secret_value(), "s")

    def test_may_set_an_index(self) -> None:
        found = settings({**WHO, "ELASTICSEARCH_URL": "https://elastic:s@es.example:9200"}).elasticsearch
        assert found is not None
        self.assertEqual(found.url.get_secret_value(), "https://elastic:s@es.example:9200")
        self.assertEqual((found.index.pattern, found.authorization.get_secret_value()), ("tutum-events", ""))

    def test_may_set_an_index_for_each_day_and_a_key(self) -> None:
        variables = {"ELASTICSEARCH_URL": "https://es.example", "ELASTICSEARCH_INDEX": "events-%Y.%m.%d"}
        for key, header in (("S0VZ", "ApiKey S0VZ"), ("id:key", "ApiKey aWQ6a2V5"), ("Bearer T.K", "Bearer T.K")):
            found = settings({**WHO, **variables, "ELASTICSEARCH_API_KEY": key}).elasticsearch
            assert found is not None
            self.assertEqual(found.index.pattern, "events-%Y.%m.%d")
            self.assertEqual(found.authorization.get_secret_value(), header)


class Secrets(SettingsCase):
    def test_may_come_from_files(self) -> None:
        found = settings({"TUTUM_USERNAME": "alice", "TUTUM_TOKEN_FILE": "/run/token"})
        assert found.credentials is not None
        self.assertEqual(found.credentials.query, "user=alice&token=from-file")

    def test_in_files_that_an_editor_began_with_a_byte_order_mark_are_read_without_it(self) -> None:
        home = Path(self.mktemp())
        home.mkdir()
        secret, url = home / "secret", home / "url"
        secret.write_bytes(b"\xef\xbb\xbfwhsec_a2V5\r\n")
        url.write_bytes(b"\xef\xbb\xbfhttps://hooks.example/x\r\n")
        (home / ".tutum").write_bytes(b"\xef\xbb\xbf[auth]\r\nuser = alice\r\napikey = k3y\r\n")
        files = {"HOME": str(home), "WEBHOOK_URL_FILE": str(url), "WEBHOOK_SECRET_FILE": str(secret)}
        found = read({}, files, parse_endpoint)
        assert found.webhook is not None
        assert found.webhook.secret is not None
        self.assertEqual(found.webhook.url.get_secret_value(), "https://hooks.example/x")
        self.assertEqual(found.webhook.secret.get_secret_value(), "whsec_a2V5")
        assert found.credentials is not None
        self.assertEqual(found.credentials.query, "user=alice&token=k3y")

    def test_from_both_the_variable_and_the_file_are_a_mistake(self) -> None:
        self.assertEqual(
            self.mistakes({**WHO, "TUTUM_TOKEN_FILE": "/run/token"}),
            ("TUTUM_TOKEN and TUTUM_TOKEN_FILE: set only one of them",),
        )

    def test_from_files_that_are_missing_or_empty_are_mistakes(self) -> None:
        self.assertEqual(
            self.mistakes({**WHO, "SLACK_URL_FILE": "/run/nowhere", "PAGERDUTY_KEY_FILE": "/run/empty"}),
            (
                "SLACK_URL_FILE: /run/nowhere can't be read: No such file or directory",
                "PAGERDUTY_KEY_FILE: /run/empty is empty",
            ),
        )

    def test_are_in_no_repr_and_in_no_mistake(self) -> None:
        environment = {
            **WHO,
            "SLACK_URL": "https://hooks.example/T0/hush",
            "PAGERDUTY_KEY": "hush",
            "WEBHOOK_URL": "https://user:hush@hooks.example/",
            "WEBHOOK_SECRET": "hush",
            "ELASTICSEARCH_URL": "https://es.example/hush",
            "ELASTICSEARCH_API_KEY": "hush",
        }
        found = settings(environment)
        for value in (
            found, found.pagerduty, found.webhook, found.elasticsearch, found.slack_url, found.credentials
        ):  # fmt: skip
            self.assertNotIn("hush", repr(value))
        wrong = {**environment, "SLACK_URL": "hush://hush", "WEBHOOK_URL": "hush hush", "TUTUM_REST_HOST": "x://hush"}
        wrong |= {"ELASTICSEARCH_URL": "hush://hush", "ELASTICSEARCH_API_KEY": "hush hush"}
        self.assertNotIn("hush", "\n".join(self.mistakes(wrong)))


class Slips(SettingsCase):
    def test_are_told_and_stop_nothing(self) -> None:
        found = settings({**WHO, "TUTUMSTREAM_ROUTE": "problems", "PAGERDUTY_KEY_FILES": "x"})
        self.assertEqual([line.split()[0] for line in found.slips], ["PAGERDUTY_KEY_FILES", "TUTUMSTREAM_ROUTE"])

    def test_are_none_of_what_docs_name(self) -> None:
        docs = Path(__file__).parents[1] / "docs" / "configuration.md"
        names = set(re.findall(r"\b(?:TUTUM|SLACK|PAGERDUTY|WEBHOOK|ELASTICSEARCH)\w*_\w+", docs.read_text()))
        self.assertGreater(len(names), 30)
        for name in names - {"TUTUMSTREAM_ROUTE"}:  # the example of a slip
            self.assertEqual(slips({name: "x"}, NAMES), [], name)


class Mistakes(SettingsCase):
    def test_are_all_told_at_once(self) -> None:
        found = self.mistakes(
            {
                "TUTUM_STREAM_HOST": "https://stream.example",
                "TUTUM_REST_HOST": "dashboard.example",
                "SLACK_URL": "hooks.example",
                "WEBHOOK_URL": "https://hooks.example",
                "WEBHOOK_SECRET": "whsec_no!base64",
                "PAGERDUTY_KEY": "pd",
                "PAGERDUTY_API": "v3",
                "PAGERDUTY_ON_DELETE": "stack,planet",
                "ELASTICSEARCH_URL": "https://es.example/?pretty",
                "ELASTICSEARCH_API_KEY": "two words",
                "ELASTICSEARCH_INDEX": "Events",
                "TUTUMSTREAM_LOG_LEVEL": "loud",
                "TUTUMSTREAM_ROUTES": "trouble",
            }
        )
        self.assertEqual(
            [line.split(":")[0] for line in found],
            [
                "no credentials",
                "SLACK_URL",
                "PAGERDUTY_API",
                "PAGERDUTY_ON_DELETE",
                "WEBHOOK_SECRET",
                "ELASTICSEARCH_URL",
                "ELASTICSEARCH_API_KEY",
                "ELASTICSEARCH_INDEX",
                "TUTUM_STREAM_HOST",
                "TUTUM_REST_HOST",
                "TUTUMSTREAM_ROUTES",
                "TUTUMSTREAM_LOG_LEVEL",
            ],
        )

    def test_without_credentials_name_the_variables_and_the_ways_without(self) -> None:
        (line,) = self.mistakes({})
        for part in ("TUTUM_USERNAME", "TUTUM_TOKEN", "TUTUM_AUTH", "--demo", "--docker"):
            self.assertIn(part, line)

    def test_of_a_proxy_that_is_none(self) -> None:
        (line,) = self.mistakes({**WHO, "HTTPS_PROXY": "foo bar"})
        self.assertIn("HTTPS_PROXY: the proxy holds blanks; write it as http://", line)

    def test_of_a_socket_that_systemd_does_not_hand_over(self) -> None:
        # As Twisted raises them for `systemd:domain=INET:index=0` and `:name=x`.
        for problem in (IndexError("list index out of range"), KeyError("x")):

            def parse(text: str, problem: Exception = problem) -> None:
                raise problem

            with self.assertRaises(SettingsError) as caught:
                read({}, {**WHO, "TUTUMSTREAM_LISTEN": "systemd:domain=INET:index=0"}, parse, read_text)
            (line,) = caught.exception.mistakes
            self.assertIn("TUTUMSTREAM_LISTEN: systemd hands over no such socket", line)

    def test_with_half_of_the_credentials_name_the_other_half(self) -> None:
        self.assertEqual(
            self.mistakes({"TUTUM_USERNAME": "alice"}),
            ("TUTUM_USERNAME: there is no TUTUM_TOKEN (or TUTUM_APIKEY) to go with it",),
        )

    def test_with_a_file_of_tutum_login_that_can_not_be_used_name_it_where_nothing_else_is_whole(self) -> None:
        (broken,) = self.mistakes({"HOME": "/broken"})
        self.assertIn("~/.tutum: it has no section [auth]", broken)
        closed, half = self.mistakes({"HOME": "/closed", "TUTUM_USERNAME": "alice"})
        self.assertEqual(closed, "~/.tutum: it can't be read: Permission denied")
        self.assertIn("TUTUM_USERNAME: there is no TUTUM_TOKEN", half)
        for home in ("/broken", "/closed", "/nowhere"):
            self.assertIsNotNone(settings({**WHO, "HOME": home}).credentials)

    def test_blame_the_file_of_a_key_and_not_what_goes_with_the_key(self) -> None:
        found = self.mistakes({**WHO, "PAGERDUTY_KEY_FILE": "/run/nowhere", "PAGERDUTY_ON_DELETE": "node"})
        self.assertEqual([line.split(":")[0] for line in found], ["PAGERDUTY_KEY_FILE"])

    def test_of_two_events_apis_of_pagerdutys(self) -> None:
        eu = {**WHO, "PAGERDUTY_KEY": "pd", "PAGERDUTY_URL": "https://events.eu.pagerduty.com/v2/enqueue"}
        self.assertEqual(self.mistakes({**eu, "PAGERDUTY_API": "V1"}), ("PAGERDUTY_API: at PAGERDUTY_URL is v2",))
        old = {**eu, "PAGERDUTY_URL": "https://pd.example/generic/2010-04-15/create_event.json"}
        self.assertEqual(self.mistakes({**old, "PAGERDUTY_API": "v2"}), ("PAGERDUTY_API: at PAGERDUTY_URL is v1",))
        self.assertEqual(self.mistakes({**eu, "PAGERDUTY_API": "v3"}), ("PAGERDUTY_API: should be 'v1' or 'v2'",))
        broken = {**eu, "PAGERDUTY_URL": "https://[broken"}
        self.assertEqual(self.mistakes(broken), ("PAGERDUTY_URL: the URL has no valid host and port",))
        relay = {**eu, "PAGERDUTY_URL": "https://relay.example/x"}
        for known, api in (
            (eu, "v2"),
            ({**eu, "PAGERDUTY_API": "v2"}, "v2"),
            (old, "v1"),
            (relay, "v1"),
            ({**relay, "PAGERDUTY_API": "v2"}, "v2"),
        ):
            found = settings(known).pagerduty
            assert found is not None
            self.assertEqual(found.api, api)

    def test_of_a_pagerduty_key_that_is_none(self) -> None:
        for key in ("abc def", "schlüssel"):
            (line,) = self.mistakes({**WHO, "PAGERDUTY_KEY": key})
            self.assertEqual(line, "PAGERDUTY_KEY: a key is one word of ASCII characters, without spaces")

    def test_of_things_that_do_not_fit_together(self) -> None:
        self.assertEqual(
            self.mistakes(
                {**WHO, "WEBHOOK_SECRET": "s", "PAGERDUTY_ON_DELETE": "node", "PAGERDUTY_URL": "https://pd.example/"}
            ),
            (
                "WEBHOOK_SECRET: there is no WEBHOOK_URL to sign for",
                "PAGERDUTY_ON_DELETE: there is no PAGERDUTY_KEY to page with",
                "PAGERDUTY_URL: there is no PAGERDUTY_KEY to page with",
            ),
        )
        self.assertEqual(
            self.mistakes({**WHO, "ELASTICSEARCH_API_KEY": "k", "ELASTICSEARCH_INDEX": "i"}),
            (
                "ELASTICSEARCH_API_KEY: there is no ELASTICSEARCH_URL to use it at",
                "ELASTICSEARCH_INDEX: there is no ELASTICSEARCH_URL to store at",
            ),
        )
        self.assertEqual(
            self.mistakes({**WHO, "ELASTICSEARCH_API_KEY": "k", "ELASTICSEARCH_URL": "http://u:p@es"}),
            ("ELASTICSEARCH_API_KEY: ELASTICSEARCH_URL holds user and password; set only one of them",),
        )
        self.assertEqual(self.mistakes(WHO, demo=True, docker=True), ("--demo and --docker: choose one",))

    def test_of_what_this_version_can_not_do_are_told_instead_of_being_passed_over(self) -> None:
        found = self.mistakes({**WHO, "TUTUMSTREAM_CONFIG": "/etc/x.yaml"})
        self.assertEqual(found, ("TUTUMSTREAM_CONFIG: this version can't do that yet; unset it",))

    def test_of_a_header_that_would_be_two_are_told_once(self) -> None:
        (line,) = self.mistakes({"TUTUM_AUTH": "Basic abc\r\nX-Evil: 1"})
        self.assertEqual(line, "TUTUM_AUTH: it holds a line's end or another control character")

    def test_of_secrets_from_files_are_found_as_well(self) -> None:
        FILES["/run/two-lines"] = "k3y\nX-Evil: 1"
        self.addCleanup(FILES.pop, "/run/two-lines")
        (line,) = self.mistakes({"TUTUM_USERNAME": "alice", "TUTUM_TOKEN_FILE": "/run/two-lines"})
        self.assertTrue(line.startswith("TUTUM_TOKEN: it holds a line's end"), line)

    def test_of_a_rate_that_would_tell_nothing_name_the_word_for_no_limit(self) -> None:
        for value in ("0", "0.0", "-0"):
            (line,) = self.mistakes({**WHO, "SLACK_RATE": value})
            self.assertTrue(line.startswith("SLACK_RATE: 0 would tell nothing at all; "), line)
            self.assertIn("none for no limit", line)

    def test_of_a_rate_that_is_none_say_what_is_allowed(self) -> None:
        for value in ("-1", "fast", "1/s", "inf", "nan", "100001"):
            (line,) = self.mistakes({**WHO, "SLACK_RATE": value})
            self.assertEqual(
                line,
                "SLACK_RATE: messages a second are from 0.001 to 100000 (0.5 is one in two seconds), "
                "or none for no limit",
            )

    def test_of_an_option_name_the_option(self) -> None:
        (line,) = self.mistakes(WHO, log_level="loud")
        self.assertTrue(line.startswith("--log-level:"), line)

    def test_of_places(self) -> None:
        self.assertIn("not an endpoint", self.mistakes({**WHO, "TUTUMSTREAM_LISTEN": "8788"})[0])
        self.assertIn("SSL_CERT_FILE", self.mistakes({**WHO, "SSL_CERT_FILE": "/no/such/file"})[0])
        self.assertIn("HTTPS_PROXY", self.mistakes({**WHO, "HTTPS_PROXY": "socks5://here"})[0])
        self.assertIn("DOCKER_HOST", self.mistakes({"DOCKER_HOST": "http://here:2376"}, docker=True)[0])


class TheEmbeddedSources(SettingsCase):
    def test_need_no_credentials(self) -> None:
        self.assertEqual(settings({}, demo=True).source, "demo")
        found = settings({}, docker=True)
        self.assertEqual((found.source, found.engines[0].url), ("docker", "unix:///var/run/docker.sock"))
        self.assertIsNone(found.credentials)

    def test_demo_knows_no_destination_and_no_state_folder_whatever_the_environment_says(self) -> None:
        environment = {
            "SLACK_URL": "https://hooks.example/x",
            "PAGERDUTY_KEY": "pd",
            "WEBHOOK_URL": "https://here",
            "ELASTICSEARCH_URL": "https://here",
            "TUTUMSTREAM_STATE_DIR": "/state",
        }
        found = settings(environment, demo=True)
        self.assertEqual((found.slack_url, found.pagerduty, found.webhook), (None, None, None))
        self.assertEqual((found.elasticsearch, found.state_dir), (None, None))

    def test_demo_runs_whatever_mistakes_the_environment_holds(self) -> None:
        environment = {
            "HTTPS_PROXY": "socks://x",
            "SSL_CERT_FILE": "/no/such/file",
            "SLACK_URL": "x",
            "TUTUM_TOKEN_FILE": "/no/such/file",
            "TUTUM_STREAM_URL": "x",
            "WEBHOOK_SECRET": "x",
            "TUTUMSTREAM_HISTORY_DAYS": "x",
            "TUTUMSTREAM_CONFIG": "x",
            "TUTUM_AUTH": "\udcff",
            "DOCKER_HOST": "x",
        }
        self.assertEqual(settings(environment, demo=True).environment, {})

    def test_demo_takes_no_state_folder(self) -> None:
        (line,) = self.mistakes({}, demo=True, state_dir="/state")
        self.assertTrue(line.startswith("--state-dir: "), line)


class TheStateFolder(SettingsCase):
    def test_is_the_options_then_our_variables_then_systemds(self) -> None:
        environment = {**WHO, "STATE_DIRECTORY": "/systemd:/other"}
        self.assertEqual(settings(environment).state_dir, Path("/systemd"))
        environment["TUTUMSTREAM_STATE_DIR"] = "/ours"
        self.assertEqual(settings(environment).state_dir, Path("/ours"))
        self.assertEqual(settings(environment, state_dir="/option").state_dir, Path("/option"))

    def test_is_the_users_where_nothing_is_said(self) -> None:
        found = settings().state_dir
        assert found is not None
        self.assertEqual(found.name, "tutumstream")


class Listening(SettingsCase):
    def test_is_left_out_however_none_is_written(self) -> None:
        for word in ("none", "None"):
            self.assertEqual(settings({**WHO, "TUTUMSTREAM_LISTEN": word}).listen, "")

    def test_is_on_loopback_by_default_and_can_be_turned_off(self) -> None:
        self.assertEqual(settings().listen, "tcp:8788:interface=127.0.0.1")
        self.assertEqual(settings({**WHO, "TUTUMSTREAM_LISTEN": "none"}).listen, "")
        self.assertEqual(settings(WHO, listen="tcp:1").listen, "tcp:1")


class Amounts(SettingsCase):
    def test_have_defaults_and_can_be_set(self) -> None:
        self.assertEqual((settings().rates, settings().limits), ({}, Limits()))
        found = settings({**WHO, "SLACK_RATE": "none", "PAGERDUTY_RATE": "0.5", "TUTUMSTREAM_HISTORY_DAYS": "1"})
        self.assertEqual(found.rates, {"slack": 0.0, "pagerduty": 0.5})
        self.assertEqual(found.limits, Limits(history_seconds=86400.0))

    def test_that_make_no_sense_are_mistakes(self) -> None:
        wrong = {"SLACK_RATE": "fast", "PAGERDUTY_RATE": "-1", "WEBHOOK_RATE": "inf", "TUTUMSTREAM_PENDING_ROWS": "0"}
        self.assertEqual([line.split(":")[0] for line in self.mistakes({**WHO, **wrong})], list(wrong))

    def test_that_no_clock_and_no_journal_can_count_are_mistakes_that_name_the_most(self) -> None:
        for name, values, most in (
            ("TUTUMSTREAM_HISTORY_DAYS", ("36501", "1e300", "inf", "nan"), "36500"),
            ("TUTUMSTREAM_HISTORY_ROWS", ("1000000000001", "9" * 30), "1000000000000"),
            ("TUTUMSTREAM_PENDING_ROWS", ("1000000000001", "9" * 30), "1000000000000"),
            ("SLACK_RATE", ("100001", "1e300", "inf", "nan"), "100000"),
        ):
            for value in values:
                (line,) = self.mistakes({**WHO, name: value})
                self.assertTrue(line.startswith(f"{name}: "), line)
                self.assertIn(most, line, value)

    def test_may_be_as_many_as_that(self) -> None:
        most = {"HISTORY_DAYS": "36500", "HISTORY_ROWS": str(10**12), "PENDING_ROWS": str(10**12)}
        found = settings({**WHO, **{f"TUTUMSTREAM_{name}": value for name, value in most.items()}})
        self.assertEqual(found.limits, Limits(36500 * 86400.0, 10**12, 10**12))


class Logging(SettingsCase):
    def test_is_chosen_in_any_case(self) -> None:
        found = settings({**WHO, "TUTUMSTREAM_LOG_LEVEL": "WARNING", "TUTUMSTREAM_LOG_FORMAT": "JSON"})
        self.assertEqual((found.log_level, found.log_format), ("warn", "json"))
        self.assertIsNone(settings().log_format)
