from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.notifiers.text import clean, cut, one_line


class TextTests(SynchronousTestCase):
    def test_what_fits_is_left_alone(self) -> None:
        self.assertEqual(cut("four", 4), "four")

    def test_what_is_cut_ends_with_an_ellipsis(self) -> None:
        self.assertEqual(cut("fives", 4), "fiv…")

    def test_an_entity_is_left_out_as_a_whole(self) -> None:
        for limit in range(4, 8):
            self.assertEqual(cut("ab&amp;cd", limit), "ab…")
        self.assertEqual(cut("ab&amp;cd", 8), "ab&amp;…")

    def test_an_ampersand_that_begins_no_entity_is_a_character(self) -> None:
        self.assertEqual(cut("R&D department", 5), "R&D …")

    def test_lone_surrogates_are_replaced(self) -> None:
        self.assertEqual(clean("a\ud800b 🎉"), "a?b 🎉")

    @given(st.text(), st.integers(1, 20))
    def test_no_text_comes_out_longer_than_the_limit(self, text: str, limit: int) -> None:
        self.assertLessEqual(len(cut(text, limit)), limit)
        line = one_line(text, limit)
        self.assertLessEqual(len(line), limit)
        self.assertTrue(line.isprintable())
