from base64 import b64encode
from urllib.parse import parse_qs

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.gateway.access import Access, Credentials, Presented, presented

PAIR = b64encode(b"alice:k3y").decode()
# Encodes to base64 with a plus: what query parsing turns into a blank.
PLUS_KEY = b"k~>~>y"
PLUS_PAIR = b64encode(b"alice:" + PLUS_KEY).decode()


def query(text: str) -> dict[bytes, list[bytes]]:
    return parse_qs(text.encode(), keep_blank_values=True)


class TestPresented(SynchronousTestCase):
    def test_every_form_of_the_query_is_understood(self) -> None:
        for text in (
            "user=alice&token=k3y",
            "token=k3y&user=alice",
            "sid=k3y&user=alice",
            "auth=ApiKey%20alice:k3y",
            "auth=ApiKey+alice%3Ak3y",
            f"auth=Basic%20{PAIR}",
            f"auth=Basic+{PAIR}",
            f"auth=basic%20%22{PAIR}%22",
        ):
            self.assertEqual(presented(None, query(text)), Presented(b"alice", b"k3y"), text)

    def test_every_form_of_the_header_is_understood(self) -> None:
        for text in (
            f"Basic {PAIR}",
            f"basic {PAIR}",
            f"BASIC  {PAIR} ",
            f'Basic "{PAIR}"',
            f"Basic {PAIR.rstrip('=')}",
            "ApiKey alice:k3y",
            "apikey alice:k3y",
        ):
            self.assertEqual(presented(text.encode(), {}), Presented(b"alice", b"k3y"), text)

    def test_a_plus_that_became_a_blank_is_a_plus_again(self) -> None:
        self.assertIn("+", PLUS_PAIR)
        self.assertEqual(presented(None, query(f"auth=Basic%20{PLUS_PAIR}")), Presented(b"alice", PLUS_KEY))

    def test_the_key_begins_after_the_first_colon(self) -> None:
        self.assertEqual(presented(b"ApiKey alice:a:b:", {}), Presented(b"alice", b"a:b:"))

    def test_the_header_beats_the_query_even_when_it_is_wrong(self) -> None:
        good = query("user=alice&token=k3y")
        self.assertEqual(presented(b"ApiKey bob:x", good), Presented(b"bob", b"x"))
        self.assertIsNone(presented(b"Bearer x", good))

    def test_what_is_no_credentials_is_none(self) -> None:
        for header in (
            b"",
            b"Basic",
            b"Basic !!!!",
            b"Basic " + b64encode(b"no colon"),
            b"ApiKey alice",
            b"Digest a:b",
        ):
            self.assertIsNone(presented(header, {}), header)
        for text in ("", "user=alice", "token=k3y", "auth=", "auth=Basic"):
            self.assertIsNone(presented(None, query(text)), text)

    @given(st.binary())
    def test_no_header_raises(self, header: bytes) -> None:
        presented(header, {})
        presented(b"Basic " + header, {})

    @given(st.text(st.characters(exclude_characters=":")), st.binary())
    def test_basic_gives_back_what_was_encoded(self, user: str, key: bytes) -> None:
        raw = user.encode("utf-8", "replace")
        header = b"Basic " + b64encode(raw + b":" + key)
        self.assertEqual(presented(header, {}), Presented(raw, key))


class TestAccess(SynchronousTestCase):
    access = Access([Credentials("alice", "old"), Credentials("alice", "new"), Credentials("jürgen", "ß")])

    def test_each_key_of_a_user_is_granted(self) -> None:
        self.assertEqual(self.access.granted(Presented(b"alice", b"old")), "alice")
        self.assertEqual(self.access.granted(Presented(b"alice", b"new")), "alice")
        self.assertEqual(self.access.granted(Presented("jürgen".encode(), "ß".encode())), "jürgen")

    def test_anything_else_is_refused(self) -> None:
        for shown in (
            None,
            Presented(b"alice", b""),
            Presented(b"alice", b"old "),
            Presented(b"bob", b"old"),
            Presented(b"aliceo", b"ld"),
            Presented(b"", b""),
        ):
            self.assertIsNone(self.access.granted(shown), shown)

    def test_with_no_users_nobody_is_granted(self) -> None:
        self.assertIsNone(Access([]).granted(Presented(b"", b"")))

    def test_keys_are_never_shown(self) -> None:
        self.assertNotIn("s3cret", repr(Credentials("alice", "s3cret")))
        self.assertNotIn("s3cret", repr(Presented(b"alice", b"s3cret")))
