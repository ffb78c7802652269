from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.errors import ExchangeError
from tutumstream.net.address import Address
from tutumstream.net.agent import USER_AGENT
from tutumstream.net.target import Target

SECRET = "T0KEN-T0KEN-T0KEN"


def target(url: str = f"http://sink.example/hooks/{SECRET}") -> Target:
    return Target(Address.parse(url))


class TargetTests(SynchronousTestCase):
    def refusal(self, *args: object) -> str:
        problem = self.assertRaises(ExchangeError, target().request, *args)
        self.assertEqual(problem.host, "http://sink.example")
        self.assertNotIn(SECRET, f"{problem} {problem!r}")
        self.assertIsNone(problem.__cause__)
        self.assertTrue(problem.__suppress_context__ or problem.__context__ is None)
        return problem.problem

    def test_a_request_is_head_and_body(self) -> None:
        sent = target("https://sink.example:8443/a?b=c").request("POST", ("X-A", "X-B"), ("1", "é"), b"body")
        self.assertEqual(
            sent,
            f"POST /a?b=c HTTP/1.1\r\nHost: sink.example:8443\r\nUser-Agent: {USER_AGENT}\r\n"
            "X-A: 1\r\nX-B: é\r\nContent-Length: 4\r\n\r\nbody".encode(),
        )

    def test_the_second_request_has_values_of_its_own(self) -> None:
        asked = target()
        first = asked.request("POST", ("X-A",), ("1",), b"one")
        second = asked.request("POST", ("X-A",), ("2",), b"second")
        self.assertEqual(second, first.replace(b"X-A: 1", b"X-A: 2").replace(b"3\r\n\r\none", b"6\r\n\r\nsecond"))

    def test_only_methods_that_mean_a_body_tell_that_there_is_none(self) -> None:
        for method, told in (("GET", False), ("DELETE", False), ("HEAD", False), ("POST", True), ("PUT", True)):
            self.assertEqual(b"Content-Length: 0\r\n" in target().request(method, (), (), b""), told, method)
        self.assertIn(b"Content-Length: 1\r\n", target().request("DELETE", (), (), b"x"))

    def test_signs_of_percent_stay_what_they_are(self) -> None:
        sent = target("http://s.example/%41%s?100%").request("GET", ("X%d",), ("%s %d %%",), b"")
        self.assertIn(b"GET /%41%s?100% HTTP/1.1\r\n", sent)
        self.assertIn(b"X%d: %s %d %%\r\n", sent)

    def test_what_the_caller_brings_wins(self) -> None:
        asked = target("http://me:pass@sink.example/")
        self.assertIn(b"Authorization: Basic ", asked.request("GET", (), (), b""))
        sent = asked.request("GET", ("HOST", "user-agent", "authorization"), ("h", "u", "a"), b"")
        self.assertEqual(sent, b"GET / HTTP/1.1\r\nHOST: h\r\nuser-agent: u\r\nauthorization: a\r\n\r\n")

    def test_bytes_that_are_no_text_pass_through(self) -> None:
        value = b"\xff\xfe".decode("utf-8", "surrogateescape")
        self.assertIn(b"X: \xff\xfe\r\n", target().request("GET", ("X",), (value,), b""))

    def test_a_value_that_would_be_more_than_one_line_is_refused_and_not_shown(self) -> None:
        for value in (f"{SECRET}\r\nX-Evil: 1", f"{SECRET}\n", f"\r{SECRET}", f"{SECRET}\0"):
            said = self.refusal("POST", ("X-A", "X-B"), ("1", value), b"")
            self.assertEqual(said, "the header X-B can't be sent: it holds a line break or NUL")

    def test_half_a_character_is_refused(self) -> None:
        self.assertIn("half a character", self.refusal("POST", ("X",), (f"{SECRET}\ud800",), b""))

    def test_names_and_methods_are_words(self) -> None:
        for method, name in (("GET", "X: 1\r\nY"), ("GET", ""), ("GET", "a b"), ("GET /evil", "X"), ("", "X")):
            self.assertIn("no word", self.refusal(method, (name,), ("1",), b""))

    def test_where_a_message_ends_is_not_for_the_caller_to_say(self) -> None:
        for name in ("Content-Length", "transfer-encoding", "CONNECTION"):
            said = self.refusal("POST", (name,), ("1",), b"")
            self.assertEqual(said, f"the header {name} is not for the caller to set")

    def test_its_text_holds_no_secret(self) -> None:
        self.assertEqual(repr(target()), "<target at http://sink.example>")

    def test_header_names_that_are_made_up_on_the_way_are_not_kept_for_ever(self) -> None:
        asked = target()
        for number in range(200):
            self.assertIn(b": 1\r\n\r\n", asked.request("GET", (f"X-{number}",), ("1",), b""))
        self.assertLessEqual(len(asked._templates), 64)

    @given(st.lists(st.tuples(st.sampled_from(["A", "B", "C%s"]), st.text()), max_size=4, unique_by=lambda one: one[0]))
    def test_a_request_has_as_many_headers_as_were_asked_for(self, headers: list[tuple[str, str]]) -> None:
        names, values = tuple(name for name, _ in headers), tuple(value for _, value in headers)
        try:
            sent = target().request("POST", names, values, b"\r\n\r\n")
        except ExchangeError:
            return
        head, _, body = sent.partition(b"\r\n\r\n")
        self.assertEqual(body, b"\r\n\r\n")
        self.assertEqual(len(head.split(b"\r\n")), 4 + len(headers))
        self.assertEqual(head.count(b"\n") + head.count(b"\r"), 2 * (3 + len(headers)))
