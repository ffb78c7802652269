from twisted.trial.unittest import SynchronousTestCase

from tutumstream.variables import slips, that_count, unfit


class AValue(SynchronousTestCase):
    def test_of_one_line_of_text_is_fit(self) -> None:
        self.assertEqual(unfit({"TUTUM_TOKEN": "k3y", "SLACK_URL": "https://hooks.example/ü"}), [])

    def test_with_a_line_s_end_is_not_for_it_would_begin_a_header(self) -> None:
        for name in (
            "TUTUM_USERNAME",
            "TUTUM_TOKEN",
            "TUTUM_AUTH",
            "PAGERDUTY_KEY",
            "ELASTICSEARCH_API_KEY",
            "HTTPS_PROXY",
        ):
            for end in ("\r\n", "\n", "\x00", "\x7f"):
                self.assertEqual(
                    unfit({name: f"a{end}X-Evil: 1"}),
                    [f"{name}: it holds a line's end or another control character"],
                )

    def test_that_only_signs_may_be_anything(self) -> None:
        self.assertEqual(unfit({"WEBHOOK_SECRET": "two\nlines"}), [])

    def test_that_is_no_text_is_told_for_whatever_it_is(self) -> None:
        for name in ("TUTUM_USERNAME", "TUTUMSTREAM_STATE_DIR", "WEBHOOK_SECRET", "no_proxy"):
            self.assertEqual(
                unfit({name: b"a\xff".decode("utf-8", "surrogateescape")}), [f"{name}: it is not UTF-8 text"]
            )

    def test_that_begins_with_a_byte_order_mark_is_told_for_it_is_not_seen(self) -> None:
        for name in ("SLACK_URL", "WEBHOOK_SECRET", "TUTUM_TOKEN"):
            (line,) = unfit({name: "\ufeffhush"})
            self.assertTrue(line.startswith(f"{name}: it begins with a byte order mark"), line)
            self.assertNotIn("hush", line)

    def test_of_somebody_else_is_not_looked_at(self) -> None:
        self.assertEqual(unfit({"PS1": "\x1b[1m", "LS_COLORS": "\udcff"}), [])


class WhatCounts(SynchronousTestCase):
    def test_is_next_to_nothing_for_a_demo(self) -> None:
        given = {"TUTUMSTREAM_LISTEN": "none", "SLACK_URL": "x", "https_proxy": "x", "TUTUMSTREAM_CONFIG": "x"}
        self.assertEqual(that_count(given, "demo"), {"TUTUMSTREAM_LISTEN": "none"})

    def test_is_no_tutum_where_there_is_an_engine(self) -> None:
        given = {"TUTUM_TOKEN_FILE": "/no", "TUTUM_STREAM_URL": "x", "SLACK_URL": "x", "TUTUMSTREAM_LISTEN": "none"}
        self.assertEqual(sorted(that_count(given, "docker")), ["SLACK_URL", "TUTUMSTREAM_LISTEN"])

    def test_is_what_is_not_empty(self) -> None:
        self.assertEqual(that_count({"A": "1", "B": " "}, "stream"), {"A": "1"})


class ASlip(SynchronousTestCase):
    names = ("SLACK_URL", "TUTUMSTREAM_ROUTES", "TUTUM_TOKEN")

    def test_is_told_with_what_was_meant(self) -> None:
        for name, meant in (
            ("TUTUMSTREAM_ROUTE", "TUTUMSTREAM_ROUTES"),
            ("SLACK_ULR", "SLACK_URL"),
            ("TUTUM_TOKN", "TUTUM_TOKEN"),
            ("SLACKURL", "SLACK_URL"),
        ):
            self.assertEqual(slips({name: "hush"}, self.names), [f"{name} means nothing here; {meant} would"])

    def test_is_a_file_for_what_is_no_secret(self) -> None:
        for known in (
            {"TUTUMSTREAM_ROUTES_FILE": "/x"},
            {"TUTUMSTREAM_ROUTES_FILE": "/x", "TUTUMSTREAM_ROUTES": "all"},
        ):
            (said,) = slips(known, self.names)
            self.assertEqual(
                said,
                "TUTUMSTREAM_ROUTES_FILE means nothing here, for no secret is in it; TUTUMSTREAM_ROUTES itself would",
            )

    def test_is_none_where_the_right_one_is_set_too(self) -> None:
        self.assertEqual(slips({"SLACK_ULR": "x", "SLACK_URL": "x"}, self.names), [])

    def test_is_not_what_other_programs_have(self) -> None:
        for name in (
            "TUTUMSTREAM_PORT",
            "TUTUMSTREAM_SERVICE_HOST",
            "TUTUM_NODE_FQDN",
            "TUTUM_NODE_CERTIFICATE_FILE",
            "TUTUMGATEWAY_USERS",
            "LACK_URL",
        ):
            self.assertEqual(slips({name: "x"}, self.names), [], name)
