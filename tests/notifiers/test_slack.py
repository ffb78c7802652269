import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.contracts_notifiers import NOW, NotifierContract, message, outcome
from tests.destinations import Scripted
from tutumstream.net.http import Answer, HttpClient
from tutumstream.notifiers.interface import Hold, TryAgain
from tutumstream.notifiers.slack import DEFAULT_TEXT, TEXT_LIMIT, SlackNotifier, body, judge


class SlackContractTests(NotifierContract, SynchronousTestCase):
    url = "http://sink.example/services/T0000AAAA/B0000BBBB/tokentokentokentoken"
    secrets = ("T0000AAAA", "B0000BBBB", "tokentokentokentoken")

    def create(self, http: HttpClient, url: str) -> SlackNotifier:
        return SlackNotifier(http, url, lambda: NOW)

    def test_slack_is_sent_the_text_and_nothing_else(self) -> None:
        text = "Your container was created on Tutum!\nCheck /api/v1/container/x/ to see more details."
        self.told(self.make(), message(text))
        self.assertEqual(self.server.bodies("/services/"), [{"text": text}])

    def test_the_wait_may_stand_in_the_body(self) -> None:
        verdict = self.after(Scripted(status=429, body='{"retry_after":3,"ok":false,"error":"rate_limited"}'))
        self.assertEqual(verdict, TryAgain(verdict.reason, after=3.0, limited=True, answer=verdict.answer))


class BodyTests(SynchronousTestCase):
    def text(self, given: str) -> str:
        found = msgspec.json.decode(body(given))
        self.assertEqual(list(found), ["text"])
        sent: str = found["text"]
        return sent

    def test_nothing_to_say_becomes_the_tutorials_default(self) -> None:
        for empty in ("", " \n\t"):
            self.assertEqual(self.text(empty), DEFAULT_TEXT)
        self.assertEqual(DEFAULT_TEXT, "You received a message from Tutum Stream!")

    def test_a_long_text_is_cut_and_says_so(self) -> None:
        self.assertEqual(self.text("x" * TEXT_LIMIT), "x" * TEXT_LIMIT)
        self.assertEqual(self.text("x" * (TEXT_LIMIT + 1)), "x" * (TEXT_LIMIT - 1) + "…")

    @given(st.text(alphabet="&<>x;", min_size=0, max_size=40), st.integers(0, 9))
    def test_an_escaped_text_is_never_cut_within_an_entity(self, tail: str, shift: int) -> None:
        notifier = SlackNotifier(HttpClient(None, None), "http://x/", lambda: 0.0)  # type: ignore[arg-type]  # not used
        sent = self.text("x" * (TEXT_LIMIT - 10 - shift) + notifier.escape(tail * 10))
        self.assertLessEqual(len(sent), TEXT_LIMIT)
        rest = sent.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
        self.assertNotIn("&", rest)

    def test_slacks_control_characters_are_escaped(self) -> None:
        notifier = SlackNotifier(HttpClient(None, None), "http://x/", lambda: 0.0)  # type: ignore[arg-type]  # not used
        self.assertEqual(notifier.escape("<!channel> & <@U1> &amp;"), "&lt;!channel&gt; &amp; &lt;@U1&gt; &amp;amp;")


class JudgeTests(SynchronousTestCase):
    def test_ok_is_the_success_and_200_alone_is_not(self) -> None:
        for said, expected in (
            (b"ok", "delivered"),
            (b"ok\n", "delivered"),
            (b'{"ok":true}', "delivered"),
            (b"", "again"),
            (b"<html>log in first</html>", "again"),
            (b'{"ok":false,"error":"invalid_blocks"}', "rejected"),
            (b'{"ok":false,"error":"token_revoked"}', "hold"),
            (b'{"ok":false,"error":"ratelimited"}', "limited"),
            (b'{"ok":false,"error":"internal_error"}', "again"),
            (b'{"ok":false}', "rejected"),
            (b"[1]", "again"),
        ):
            self.assertEqual(outcome(judge(Answer(200, {}, said), NOW)), expected, said)

    def test_errors_by_name_and_status(self) -> None:
        for status, said, expected in (
            (400, b"invalid_payload", "rejected"),
            (400, b"no_text", "rejected"),
            (400, b"user_not_found", "rejected"),
            (400, b"no_active_hooks", "hold"),
            (403, b"action_prohibited", "hold"),
            (403, b"invalid_token", "hold"),
            (404, b"channel_not_found", "hold"),
            (404, b"no_service", "hold"),
            (410, b"channel_is_archived", "hold"),
            (429, b"", "limited"),
            (500, b"rollup_error", "again"),
            (503, b"", "again"),
        ):
            self.assertEqual(outcome(judge(Answer(status, {}, said), NOW)), expected, said)

    def test_the_errors_name_is_told(self) -> None:
        verdict = judge(Answer(200, {}, b'{"ok":false,"error":"token_revoked"}'), NOW)
        assert isinstance(verdict, Hold)
        self.assertIn("token_revoked", verdict.reason)
        self.assertIn("token_revoked", verdict.answer)
