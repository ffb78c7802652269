import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.searching import searching
from tutumstream.docker_details import ABSENT, DockerDetails, duration, ordinal, read_details, sentence


def web(event: str, **fields: Any) -> str:
    return sentence(DockerDetails(event=event, name="web-2", stack="shop", **fields))


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
VALUES = LEAVES | st.lists(LEAVES | st.lists(LEAVES, max_size=2), max_size=2)
"""However deep a list is, it is no value of any field."""


class ReadDetailsTests(SynchronousTestCase):
    def test_what_the_gateway_writes_is_read_again(self) -> None:
        details = DockerDetails(
            event="crash",
            name="web-2",
            expected=False,
            news=True,
            exit_code=137,
            oom_killed=True,
            crashes=3,
            within=600,
        )
        self.assertEqual(read_details(json.dumps(details.document()).encode()), details)

    def test_fields_that_nobody_has_heard_of_are_passed_over(self) -> None:
        self.assertEqual(read_details(b'{"exit_code": 3, "weather": {"a": [1]}}'), DockerDetails(exit_code=3))

    def test_one_strange_value_costs_only_that_value(self) -> None:
        for strange in ('"137"', "1.5", "[]", "99999999999", "1" * 400, "true", "{}"):
            found = read_details(f'{{"event": "crash", "exit_code": {strange}, "name": "web"}}'.encode())
            self.assertEqual(found, DockerDetails(event="crash", name="web"), strange)
        self.assertEqual(
            read_details(b'{"expected": "no", "news": 1, "crashes": -1, "health": null, "ran": 5}'),
            DockerDetails(ran=5),
        )

    def test_long_texts_are_cut(self) -> None:
        found = read_details(json.dumps({"name": "n" * 9999, "error": "e" * 99_999}).encode())
        assert found is not None
        self.assertEqual((len(found.name), len(found.error)), (255, 1000))

    def test_what_is_no_object_is_nothing(self) -> None:
        for raw in (b"null", b"7", b'"x"', b"[1]", b"{", b"\xff", b"[" * 100_000):
            self.assertIsNone(read_details(raw))

    @searching(4)
    @given(VALUES, st.lists(st.sampled_from(sorted(ABSENT)), max_size=4))
    def test_whatever_comes_has_values_that_conditions_can_take(self, value: Any, names: list[str]) -> None:
        found = read_details(json.dumps(dict.fromkeys(names, value)).encode())
        if found is None:
            # A lone surrogate is no JSON.
            return
        for name, seen in found.view().items():
            self.assertIs(type(seen), type(ABSENT[name]), name)
            if isinstance(seen, int):
                self.assertLess(abs(seen), 2**32)

    def test_absent_details_are_harmless(self) -> None:
        self.assertEqual(
            (ABSENT["expected"], ABSENT["news"], ABSENT["exit_code"], ABSENT["event"]), (True, False, 0, "")
        )

    def test_a_document_has_every_flag_and_number_and_no_empty_text(self) -> None:
        document = DockerDetails(event="stop", name="web").document()
        self.assertEqual((document["expected"], document["crashes"]), (True, 0))
        self.assertNotIn("exit_code", document)
        self.assertNotIn("error", document)


class SentenceTests(SynchronousTestCase):
    def test_a_crash_says_how_and_how_often(self) -> None:
        self.assertEqual(web("crash", exit_code=3, crashes=1, within=600), "web-2 of shop crashed: exit 3")
        self.assertEqual(
            web("crash", exit_code=137, oom_killed=True, crashes=3, within=600),
            "web-2 of shop crashed: exit 137, out of memory, 3rd time in 10 minutes",
        )
        self.assertEqual(web("crash", exit_code=139), "web-2 of shop crashed: exit 139 (SIGSEGV)")
        self.assertEqual(web("crash"), "web-2 of shop crashed: exit unknown")
        self.assertEqual(
            web("crash", exit_code=127, error="no such file"), "web-2 of shop could not be started: no such file"
        )

    def test_a_loop_says_that_nothing_more_will_be_said(self) -> None:
        said = web("crash", exit_code=1, crashes=3, within=600, looping=True)
        self.assertTrue(said.startswith("web-2 of shop crashed: exit 1, 3rd time in 10 minutes. "))
        self.assertIn("again and again", said)

    def test_what_crashed_for_its_health_says_so_as_its_exit_code_may_not(self) -> None:
        self.assertEqual(web("crash", exit_code=0, health="unhealthy"), "web-2 of shop crashed: exit 0, unhealthy")
        self.assertEqual(web("crash", exit_code=1, health="healthy"), "web-2 of shop crashed: exit 1")

    def test_that_docker_gave_up_is_said_and_nothing_of_what_comes_after(self) -> None:
        self.assertEqual(
            web("crash", exit_code=1, crashes=5, within=600, looping=True, given_up=True),
            "web-2 of shop crashed: exit 1, 5th time in 10 minutes. Docker has given up starting it again",
        )

    def test_the_end_of_crashes_says_how_many_there_were(self) -> None:
        self.assertEqual(
            web("recovery", crashes=20, ran=30, news=True),
            "web-2 of shop runs again, for 30 seconds now, after 20 crashes",
        )
        self.assertEqual(web("recovery", news=True), "web-2 of shop runs again")
        self.assertEqual(web("finish", crashes=1, exit_code=0), "web-2 of shop finished well, after 1 crash")
        self.assertEqual(web("stop", crashes=5, exit_code=7), "web-2 of shop was stopped: exit 7, after 5 crashes")
        self.assertEqual(web("stop", crashes=5), "web-2 of shop was stopped, after 5 crashes")
        self.assertEqual(web("remove", crashes=5), "web-2 of shop was removed, after 5 crashes")

    def test_the_rest_is_said_plainly(self) -> None:
        for event, words in (
            ("unhealthy", "is unhealthy"),
            ("healthy", "is healthy"),
            ("stop", "was stopped"),
            ("finish", "finished"),
            ("oom", "is short of memory: the kernel killed a process in it"),
            ("", "changed"),
            ("strange", "strange"),
        ):
            self.assertEqual(web(event), f"web-2 of shop {words}")
        self.assertEqual(web("healthy", news=True), "web-2 of shop is healthy again")
        self.assertEqual(web("stop", exit_code=143), "web-2 of shop was stopped: exit 143 (SIGTERM)")

    def test_only_an_engine_with_a_name_of_its_own_is_named(self) -> None:
        self.assertEqual(sentence(DockerDetails(event="start", name="web", node="local")), "web started")
        self.assertEqual(sentence(DockerDetails(event="start", name="web", node="hh-3")), "web on hh-3 started")
        self.assertEqual(
            sentence(DockerDetails(event="unreachable", name="hh-3", node="hh-3")), "Node hh-3 can't be reached"
        )

    def test_ordinals_and_durations(self) -> None:
        self.assertEqual(
            [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112)],
            ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th"],
        )
        self.assertEqual(
            [duration(n) for n in (0, 1, 90, 600, 7200, 90_000)],
            ["0 seconds", "1 second", "1 minute", "10 minutes", "2 hours", "1 day"],
        )
