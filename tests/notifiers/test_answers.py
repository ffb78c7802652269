from twisted.trial.unittest import SynchronousTestCase

from tests.contracts_notifiers import NOW, USUAL, outcome
from tutumstream.net.http import Answer
from tutumstream.notifiers.answers import by_status, excerpt, json_object, limited
from tutumstream.notifiers.interface import ANSWER_LIMIT, TryAgain


class AnswersTests(SynchronousTestCase):
    def test_every_status_has_its_verdict(self) -> None:
        for status, expected in USUAL.items():
            self.assertEqual(outcome(by_status(Answer(status), NOW)), expected, status)

    def test_trouble_with_a_wait_is_a_request_to_slow_down(self) -> None:
        for status in (408, 425, 500, 502, 503, 504):
            verdict = by_status(Answer(status, {"retry-after": "9"}), NOW)
            self.assertEqual(verdict, TryAgain(f"it answered {status}", after=9.0, limited=True))

    def test_the_headers_wait_comes_before_the_bodys(self) -> None:
        self.assertEqual(limited(Answer(429, {"retry-after": "9"}), NOW, 5).after, 9.0)
        self.assertEqual(limited(Answer(429), NOW, 2.5).after, 2.5)
        self.assertIsNone(limited(Answer(429), NOW, [1]).after)

    def test_an_excerpt_is_text_whatever_came(self) -> None:
        self.assertEqual(excerpt(Answer(200, {}, b"\xff\xfe")), "\ufffd\ufffd")
        self.assertEqual(len(excerpt(Answer(200, {}, "ü".encode() * 9000))), ANSWER_LIMIT)

    def test_only_a_json_object_is_one(self) -> None:
        self.assertEqual(json_object(Answer(200, {}, b'{"a":1}')), {"a": 1})
        for body in (b"", b"[]", b"null", b"{", b"\xff", b"[" * 200_000):
            self.assertEqual(json_object(Answer(200, {}, body)), {})
