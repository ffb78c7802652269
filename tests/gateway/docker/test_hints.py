import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import CORPUS, START, container_id, event
from tutumstream.gateway.docker.hints import SwarmHint, read_hint


class ReadHintTests(SynchronousTestCase):
    def test_a_line_of_engine_29_needs_none_of_the_removed_fields(self) -> None:
        hint = read_hint(event("start", at=START))
        assert hint is not None
        self.assertEqual((hint.container, hint.action, hint.at), (container_id(1), "start", START * 10**9))

    def test_a_creation_tells_all_it_knows(self) -> None:
        hint = read_hint(event("create", name="db", image="mysql:5.6", tier="back"))
        assert hint is not None
        assert hint.born is not None
        born = hint.born
        self.assertEqual((born.name, born.image, born.labels), ("db", "mysql:5.6", {"tier": "back"}))
        self.assertEqual((born.status, born.bare), ("created", True))

    def test_exit_codes_and_signals_are_numbers_or_nothing(self) -> None:
        for value, number in (("137", 137), ("-1", -1), ("1" * 50, None), ("x", None), ("", None)):
            dead, killed = read_hint(event("die", exitCode=value)), read_hint(event("kill", signal=value))
            assert dead is not None
            assert killed is not None
            self.assertEqual((dead.exit_code, killed.signal), (number, number))

    def test_podmans_words_are_dockers(self) -> None:
        for word, docker in (("died", "die"), ("remove", "destroy")):
            hint = read_hint(event(word))
            assert hint is not None
            self.assertEqual(hint.action, docker)

    def test_a_network_that_takes_or_lets_go_concerns_the_container(self) -> None:
        for action in ("connect", "disconnect"):
            hint = read_hint(event(action, 9, kind="network", container=container_id(4)))
            assert hint is not None
            self.assertEqual((hint.container, hint.action), (container_id(4), action))
        self.assertIsNone(read_hint(event("create", 9, kind="network", container=container_id(4))))
        self.assertIsNone(read_hint(event("disconnect", 9, kind="network", container="../secrets")))

    def test_services_and_nodes_are_a_reason_to_ask_the_swarm(self) -> None:
        for kind in ("service", "node"):
            self.assertEqual(read_hint(event("remove", kind=kind)), SwarmHint())

    def test_what_changes_no_state_is_no_hint(self) -> None:
        for action in ("exec_create: sh", "exec_die", "attach", "top", "pause"):
            self.assertIsNone(read_hint(event(action)))
        for kind in ("image", "volume", "daemon", "secret"):
            self.assertIsNone(read_hint(event("create", kind=kind)))

    def test_health_comes_with_its_value_or_with_none(self) -> None:
        for action, health in (
            ("health_status: healthy", "healthy"),
            ("health_status: unhealthy", "unhealthy"),
            ("health_status", ""),
            ("health_status: <b>fine</b>", ""),
        ):
            hint = read_hint(event(action))
            assert hint is not None
            self.assertEqual((hint.action, hint.health), ("health_status", health))

    def test_an_id_that_is_none_is_no_hint(self) -> None:
        line = json.loads(event("start"))
        line["Actor"]["ID"] = "../../secrets"
        self.assertIsNone(read_hint(json.dumps(line).encode()))

    def test_the_steps_of_a_build_are_no_hints(self) -> None:
        self.assertIsNone(read_hint(event("create", image="sha256:" + "0" * 64)))

    def test_an_older_engine_sends_seconds_only(self) -> None:
        line = json.loads(event("start", at=START))
        del line["timeNano"]
        hint = read_hint(json.dumps(line).encode())
        assert hint is not None
        self.assertEqual(hint.at, START * 10**9)

    def test_a_record_separator_is_skipped(self) -> None:
        self.assertIsNotNone(read_hint(b"\x1e" + event("start")))

    def test_a_label_of_a_megabyte_passes(self) -> None:
        hint = read_hint(event("create", big="x" * 1_000_000))
        assert hint is not None
        assert hint.born is not None
        self.assertLess(len(hint.born.labels["big"]), 5000)

    def test_labels_that_are_no_text_are_left_out(self) -> None:
        line = json.loads(event("create"))
        line["Actor"]["Attributes"].update({"n": 7, "image": ["x"], "name": None})
        hint = read_hint(json.dumps(line).encode())
        assert hint is not None
        assert hint.born is not None
        self.assertEqual((hint.born.labels, hint.born.image, hint.born.name), ({}, "", ""))

    def test_attributes_may_be_missing(self) -> None:
        line = json.loads(event("start"))
        line["Actor"]["Attributes"] = None
        self.assertIsNotNone(read_hint(json.dumps(line).encode()))
        del line["Actor"]
        self.assertIsNone(read_hint(json.dumps(line).encode()))

    def test_what_is_no_event_is_a_value_error(self) -> None:
        for line in (b"{", b"\xff", b"7", b"[" * 200_000, b'{"Type": 7}', b'{"Actor":' + b'{"Attributes":' * 99_999):
            self.assertRaises(ValueError, read_hint, line)

    @given(st.binary(max_size=200))
    def test_nothing_else_comes_out_of_any_bytes(self, line: bytes) -> None:
        try:
            self.assertIsNone(read_hint(line))
        except ValueError as problem:
            self.assertTrue(str(problem))

    def test_every_line_of_every_capture_is_read(self) -> None:
        read = 0
        for path in sorted(CORPUS.glob("*.jsonl")):
            for line in path.read_bytes().splitlines():
                if b'"Type"' in line:
                    read += read_hint(line) is not None
        self.assertGreater(read, 200)
