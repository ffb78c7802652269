from twisted.trial.unittest import SynchronousTestCase

from tests.contracts_notifiers import NOW
from tutumstream.notifiers.elasticsearch_index import DEFAULT, IndexName


class AnIndexName(SynchronousTestCase):
    def refused(self, pattern: str) -> str:
        return str(self.assertRaises(ValueError, IndexName, pattern))

    def test_without_codes_is_one_index(self) -> None:
        name = IndexName(DEFAULT)
        self.assertEqual((name.at(0.0), name.at(NOW)), ("tutum-events", "tutum-events"))
        self.assertEqual(name.wildcards, ["tutum-events", "tutum-events-*"])
        self.assertEqual(name.stem, "tutum-events")
        self.assertEqual(repr(name), "<index tutum-events>")

    def test_with_codes_is_one_for_each_time_in_utc(self) -> None:
        name = IndexName("tutum-events-%Y.%m.%d")
        self.assertEqual(name.at(NOW + 43199.999), "tutum-events-2015.09.01")
        self.assertEqual(name.at(NOW + 43200.0), "tutum-events-2015.09.02")
        self.assertEqual(name.wildcards, ["tutum-events-*.*.*"])
        self.assertEqual(name.stem, "tutum-events")
        self.assertEqual(IndexName("e_%G.%V-%j-%H").at(NOW), "e_2015.36-244-12")

    def test_holds_no_code_but_those_of_times_that_make_sense(self) -> None:
        for pattern, code in (("x-%A", "%A"), ("x-%", "%"), ("x-%%", "%%"), ("x-%-d", "%-"), ("x-%\n", "%\n")):
            self.assertTrue(self.refused(pattern).startswith(f"{code} can't be in an index's name; there are %Y"), code)

    def test_is_lower_case(self) -> None:
        self.assertEqual(self.refused("Events-%Y"), "an index's name is all lower case")

    def test_holds_no_character_that_the_server_refuses(self) -> None:
        for character in '\\/*?"<>| ,#:\n\x00':
            self.assertEqual(self.refused(f"a{character}b"), f"an index's name holds no {character!r}")

    def test_begins_with_something_to_find_it_by(self) -> None:
        for pattern in ("", "-a", "_a", "+a", ".", "..", ".hidden", "%Y-events"):
            self.assertEqual(self.refused(pattern), "an index's name begins with a letter or a digit")

    def test_is_at_most_255_bytes_long_when_the_codes_are_replaced(self) -> None:
        for pattern in ("x" * 255, "ü" * 127, "x" * 251 + "%Y", "x" * 248 + "%j%G", "x" * 253 + "%m"):
            self.assertLessEqual(len(IndexName(pattern).at(NOW).encode()), 255)
        for pattern in ("x" * 256, "ü" * 128, "x" * 252 + "%Y", "x" * 249 + "%j%G", "x" * 254 + "%m"):
            self.assertEqual(self.refused(pattern), "an index's name is at most 255 bytes long")
