from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tutumstream.operators.access import Asked, refusal

READ = Asked("GET", "127.0.0.1:8788", None, False, None, "127.0.0.1")
CHANGE = replace(READ, method="POST", marked=True, content_type="application/json")


class WhoMayAsk(SynchronousTestCase):
    def status(self, asked: Asked) -> int:
        """200 where it is answered."""
        refused = refusal(asked)
        return 200 if refused is None else refused.status

    def test_whoever_names_this_machine_or_the_address_that_was_reached(self) -> None:
        for host, address in (
            ("127.0.0.1:8788", "127.0.0.1"),
            ("127.0.0.1", "127.0.0.1"),
            ("localhost:9000", "127.0.0.1"),
            ("LocalHost.:8788", "127.0.0.1"),
            ("[::1]:8788", "::1"),
            ("localhost", ""),
            ("192.168.1.5:8788", "192.168.1.5"),
            ("192.168.1.5:8788", "::ffff:192.168.1.5"),
            ("[fd00::5]:8788", "fd00::5"),
        ):
            self.assertEqual(self.status(replace(CHANGE, host=host, address=address)), 200, host)

    def test_a_name_that_anybody_can_give_out_is_refused_even_for_reading(self) -> None:
        for host in (
            None,
            "",
            "evil.example",
            "evil.example:8788",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "192.168.1.6",
            "user@127.0.0.1",
            "127.0.0.1:8788:1",
            "[127.0.0.1",
            "[::1]x",
            "127.0.0.1:port",
        ):
            self.assertEqual(self.status(replace(READ, host=host)), 403, host)

    def test_another_sites_page_is_refused(self) -> None:
        for origin in ("http://evil.example", "null", "http://127.0.0.1:3000", "http://localhost:8788", ""):
            self.assertEqual(self.status(replace(CHANGE, origin=origin)), 403, origin)
            self.assertEqual(self.status(replace(READ, origin=origin)), 403, origin)

    def test_our_own_page_may_ask(self) -> None:
        for origin in ("http://127.0.0.1:8788", "https://127.0.0.1:8788", "HTTP://127.0.0.1:8788"):
            self.assertEqual(self.status(replace(CHANGE, origin=origin)), 200, origin)

    def test_a_change_must_be_marked_as_no_form_can_mark_it(self) -> None:
        refused = refusal(replace(CHANGE, marked=False))
        assert refused is not None
        self.assertEqual(refused.status, 403)
        self.assertIn("X-Tutumstream", refused.problem)

    def test_a_change_must_be_asked_for_in_json(self) -> None:
        for kind in (None, "", "text/plain", "application/x-www-form-urlencoded", "text/plain;application/json"):
            self.assertEqual(self.status(replace(CHANGE, content_type=kind)), 415, kind)
        self.assertEqual(self.status(replace(CHANGE, content_type="Application/JSON; charset=utf-8")), 200)

    def test_reading_needs_no_mark(self) -> None:
        for method in ("GET", "HEAD"):
            self.assertEqual(self.status(replace(READ, method=method)), 200)
        for method in ("POST", "DELETE", "PUT", "OPTIONS"):
            self.assertEqual(self.status(replace(READ, method=method)), 403)
