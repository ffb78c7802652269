from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.net.retry_after import retry_after

NOW = 784111777.0
"""Sun, 06 Nov 1994 08:49:37 GMT, the RFC's own example."""


class RetryAfterTests(SynchronousTestCase):
    def test_seconds_are_taken_whole_and_decimal(self) -> None:
        for text, seconds in (("120", 120.0), (" 2 ", 2.0), ("0", 0.0), ("1.5", 1.5), ("3.", 3.0), ("+4", 4.0)):
            self.assertEqual(retry_after(text, NOW), seconds)

    def test_all_three_forms_of_an_http_date_are_taken(self) -> None:
        for text in ("Sun, 06 Nov 1994 08:50:37 GMT", "Sunday, 06-Nov-94 08:50:37 GMT", "Sun Nov  6 08:50:37 1994"):
            self.assertEqual(retry_after(text, NOW), 60.0)

    def test_another_zone_is_understood(self) -> None:
        self.assertEqual(retry_after("Sun, 06 Nov 1994 09:50:37 +0100", NOW), 60.0)

    def test_what_is_past_or_negative_means_now(self) -> None:
        for text in ("-5", "-0.1", "Sun, 06 Nov 1994 08:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"):
            self.assertEqual(retry_after(text, NOW), 0.0)

    def test_a_long_wait_is_not_shortened(self) -> None:
        self.assertEqual(retry_after("604800", NOW), 604800.0)
        self.assertEqual(retry_after("Mon, 06 Nov 1995 08:49:37 GMT", NOW), 365 * 86400.0)

    def test_garbage_means_nothing(self) -> None:
        for text in (None, "", "soon", "1e3", "inf", "nan", "9" * 400, "12 s", "Sun, 99 Nov 1994 08:49:37 GMT", "1,5"):
            self.assertIsNone(retry_after(text, NOW))

    @given(st.text())
    def test_anything_gives_a_wait_or_nothing(self, text: str) -> None:
        found = retry_after(text, NOW)
        self.assertTrue(found is None or found >= 0.0)
