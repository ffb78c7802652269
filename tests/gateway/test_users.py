from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.gateway.users import COST, HashedKey, UserLineError, dummy, hash_key, read_users

LINE = hash_key("alice", b"k3y", b"s" * 16, cost=(2, 1, 1)).line()
"""Its scrypt is quick; what it costs is of interest to one test only."""


class TestUsers(SynchronousTestCase):
    def test_a_line_that_was_made_is_read_and_knows_its_key(self) -> None:
        (found,), mistakes = read_users(f"# our team\r\n\r\n{LINE}\r\n")
        self.assertEqual((found.user, mistakes), ("alice", []))
        self.assertTrue(found.matches(b"k3y"))
        self.assertFalse(found.matches(b"k3z"))

    def test_the_key_is_not_in_the_line(self) -> None:
        self.assertNotIn("k3y", LINE)
        self.assertTrue(LINE.startswith("alice:scrypt:2:1:1:"))

    def test_lines_of_other_cost_are_kept_as_they_are(self) -> None:
        (found,), _ = read_users("bob:scrypt:1024:8:1:c2FsdA==:" + "A" * 43 + "=")
        self.assertEqual(found.cost, (1024, 8, 1))
        self.assertEqual(found.line(), "bob:scrypt:1024:8:1:c2FsdA==:" + "A" * 43 + "=")

    def test_each_mistake_names_its_line_and_repeats_nothing_of_it(self) -> None:
        text = "\n".join(
            [
                "alice:plain-s3cret",
                LINE,
                "bob:scrypt:1000:8:1:c2FsdA==:c2FsdA==",
                "bob:scrypt:1048576:8:1:c2FsdA==:" + "A" * 44,
                "bob:scrypt:1024:8:1:!!!:s3cret",
                "bob:scrypt:1024:8:1:c2FsdA==:c2hvcnQ=",
                ":scrypt:1024:8:1:c2FsdA==:c2hvcnQ=",
                "bob:scrypt:²:8:1:c2FsdA==:c2hvcnQ=",
            ]
        )
        found, mistakes = read_users(text)
        self.assertEqual(len(found), 1)
        self.assertEqual([mistake.split(":")[0] for mistake in mistakes], [f"line {n}" for n in (1, 3, 4, 5, 6, 7, 8)])
        self.assertNotIn("s3cret", str(mistakes))
        self.assertIn("tutumstream gateway-user NAME", mistakes[0])

    def test_a_name_that_would_break_the_file_is_refused(self) -> None:
        for name in ("", "a:b", "a\nb", "#a", " a", "a\x00"):
            with self.assertRaises(UserLineError):
                hash_key(name, b"k", b"s" * 16)

    def test_nobody_has_the_dummys_key(self) -> None:
        self.assertEqual(dummy().cost, COST)
        self.assertFalse(replace(dummy(), cost=(2, 1, 1)).matches(b""))
        self.assertNotIn("k3y", repr(HashedKey("a", (2, 1, 1), b"s", b"d" * 32)))
