import base64
import json
from itertools import count
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.docker_details import DockerDetails
from tutumstream.event import (
    EXCERPT_LIMIT,
    PARENT_TYPES,
    Authenticated,
    Event,
    Malformed,
    Refused,
    decode,
    escaped,
)

CORPUS = Path(__file__).parent / "corpus" / "tutum" / "events"

STACK = "/api/v1/stack/f24bca18-e1dd-40aa-9b3c-064c0c26683e/"
NODE = "/api/v1/node/75d2f30f-ada7-4df5-ac49-c97aac3b8b7a/"
URI = "/api/v1/container/fa159860-9048-4d1e-8655-6285fa9e3fa2/"
WIRE = {"state": "Starting", "parents": [NODE, STACK], "action": "create", "type": "container", "resource_uri": URI}


def read(wire: object) -> object:
    return decode(json.dumps(wire).encode(), 12.5, lambda: "minted")


class AnObjectEvent(SynchronousTestCase):
    def test_is_read_field_by_field_with_an_id_and_a_time_of_receipt(self) -> None:
        self.assertEqual(
            read(WIRE),
            Event(
                id="minted",
                received_at=12.5,
                type="container",
                action="create",
                state="Starting",
                resource_uri=URI,
                parents=(NODE, STACK),
            ),
        )

    def test_keeps_docker_clouds_uuid_as_its_id_and_its_datetime(self) -> None:
        event = read({**WIRE, "uuid": "a1b2-c3", "datetime": "2016-02-01T16:47:28Z"})
        assert isinstance(event, Event)
        self.assertEqual((event.id, event.uuid, event.datetime), ("a1b2-c3", "a1b2-c3", "2016-02-01T16:47:28Z"))

    def test_gets_an_id_of_our_own_where_the_streams_could_not_stand_in_a_header(self) -> None:
        for uuid in ("a.b", "a\r\nb", "a" * 65, "", "ä"):
            event = read({**WIRE, "uuid": uuid})
            assert isinstance(event, Event)
            self.assertEqual((event.id, event.uuid), ("minted", uuid))

    def test_may_have_unknown_states_actions_and_fields(self) -> None:
        event = read({**WIRE, "state": "Levitating", "action": "teleport", "colour": {"deep": [1, 2]}})
        assert isinstance(event, Event)
        self.assertEqual((event.state, event.action), ("Levitating", "teleport"))

    def test_may_come_without_parents(self) -> None:
        for parents in ({}, {"parents": None}, {"parents": []}):
            event = read({name: value for name, value in WIRE.items() if name != "parents"} | parents)
            assert isinstance(event, Event)
            self.assertEqual(event.parents, ())

    def test_has_its_type_in_lower_case(self) -> None:
        event = read({**WIRE, "type": "Container"})
        assert isinstance(event, Event)
        self.assertEqual(event.type, "container")

    def test_finds_a_parent_by_its_type_wherever_it_stands(self) -> None:
        event = read(WIRE)
        assert isinstance(event, Event)
        self.assertEqual(event.parent("stack"), STACK)
        self.assertEqual(event.parent("node"), NODE)
        self.assertEqual(event.parent("service"), "")

    def test_finds_a_parent_in_docker_clouds_longer_paths_and_without_the_last_slash(self) -> None:
        event = read({**WIRE, "parents": ["/api/app/v1/shop/stack/1234/", "/api/v1/service/5678"]})
        assert isinstance(event, Event)
        self.assertEqual(event.parent("stack"), "/api/app/v1/shop/stack/1234/")
        self.assertEqual(event.parent("service"), "/api/v1/service/5678")

    def test_takes_no_parent_for_what_only_has_the_type_somewhere_in_its_path(self) -> None:
        event = read({**WIRE, "parents": ["/api/stack/v1/service/5678/"]})
        assert isinstance(event, Event)
        self.assertEqual((event.parent("stack"), event.parent("service")), ("", "/api/stack/v1/service/5678/"))

    @given(st.lists(st.lists(st.sampled_from(("", "api", "5678", "stacks", *PARENT_TYPES)), max_size=5).map("/".join)))
    def test_finds_all_parents_at_once_as_one_by_one(self, parents: list[str]) -> None:
        event = read({**WIRE, "parents": parents})
        assert isinstance(event, Event)
        self.assertEqual(event.parents_by_type(), {kind: uri for kind in PARENT_TYPES if (uri := event.parent(kind))})

    def test_shows_conditions_and_templates_every_name(self) -> None:
        event = read(WIRE)
        assert isinstance(event, Event)
        view = event.view()
        self.assertEqual(view["parent"], {"stack": STACK, "service": "", "node": NODE, "nodecluster": ""})
        self.assertEqual(
            {name: view[name] for name in ("type", "action", "state", "resource_uri", "parents", "uuid")},
            {**WIRE, "uuid": ""},
        )


class WhatDockerKnows(SynchronousTestCase):
    def read(self, docker: object) -> Event:
        body = {"type": "container", "action": "update", "state": "Stopped", "resource_uri": "/u/", "docker": docker}
        found = decode(json.dumps(body).encode(), 1.0)
        assert isinstance(found, Event)
        return found

    def test_comes_with_the_event(self) -> None:
        found = self.read({"event": "crash", "exit_code": 3, "news": True, "weather": "fine"})
        self.assertEqual(found.docker, DockerDetails(event="crash", exit_code=3, news=True))
        self.assertEqual(found.view()["docker"]["exit_code"], 3)

    def test_is_nothing_where_the_stream_says_nothing_or_nonsense(self) -> None:
        for docker in (None, 7, "crash", [], [{"event": "crash"}], True):
            found = self.read(docker)
            self.assertIsNone(found.docker)
            self.assertEqual(found.view()["docker"]["expected"], True)

    def test_never_costs_the_event(self) -> None:
        found = self.read({"event": ["crash"], "exit_code": 10**30, "name": "n" * 9999, "crashes": -1, "ran": {}})
        self.assertEqual(found.docker, DockerDetails(name="n" * 255))


class AMessageThatIsNoEvent(SynchronousTestCase):
    def test_says_what_is_wrong_with_it(self) -> None:
        for raw, part in (
            (b"", "truncated"),
            (b"null", "Expected `object`, got `null`"),
            (b"[]", "Expected `object`, got `array`"),
            (b'{"type": 7}', "$.type"),
            (b'{"type": NaN}', "invalid character"),
            (b"\xff\xfe", "malformed"),
            (b'{"type": "a\xff"}', "not UTF-8"),
            (b'{"type": "node"}', "without action, state, resource_uri"),
            (b'{"type": "martian"}', "unknown type 'martian'"),
            (b'{"type": "x", "y": ' + b'{"z":' * 50_000, "nested too deeply"),
            (b"[" * 200_000, "Expected `object`, got `array`"),
        ):
            with self.subTest(raw=raw[:20]):
                decoded = decode(raw, 1.0)
                assert isinstance(decoded, Malformed)
                self.assertIn(part, decoded.reason)
                self.assertEqual(decoded.raw, raw)

    def test_is_shown_short_escaped_and_on_one_line(self) -> None:
        decoded = decode(b"\x1b[31m\nforged\r\x00\xff" + b"A" * 100_000, 1.0)
        assert isinstance(decoded, Malformed)
        self.assertLessEqual(len(decoded.excerpt), EXCERPT_LIMIT)
        self.assertTrue(decoded.excerpt.isascii())
        self.assertTrue(decoded.excerpt.isprintable())
        self.assertTrue(decoded.excerpt.endswith("..."))

    def test_is_refused_field_by_field_when_a_field_has_another_type(self) -> None:
        for name in WIRE:
            for value in (1, {}, [1], True):
                with self.subTest(name=name, value=value):
                    self.assertIsInstance(read({**WIRE, name: value}), Malformed)

    def test_never_raises_whatever_the_bytes(self) -> None:
        @given(st.binary(max_size=300))
        def check(raw: bytes) -> None:
            decode(raw, 1.0)

        check()

    def test_never_raises_whatever_the_json(self) -> None:
        leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
        values = leaves
        for _ in range(3):
            values |= st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=8), values, max_size=3)
        names = st.sampled_from([*WIRE, "uuid", "datetime", "data"])

        @given(st.dictionaries(names, values | st.sampled_from(["auth", "error", "service"])))
        def check(wire: dict[str, object]) -> None:
            decode(json.dumps(wire).encode(), 1.0)

        check()


class ASessionMessage(SynchronousTestCase):
    def test_auth_is_known_by_its_type_alone(self) -> None:
        self.assertEqual(read({"type": "auth", "whatever": 1}), Authenticated())

    def test_unauthorized_is_told_apart_from_other_errors(self) -> None:
        self.assertEqual(read({"type": "error", "data": {"errorMessage": "UNAUTHORIZED"}}), Refused())
        event = read({"type": "error", "data": {"errorMessage": "SOMETHING"}})
        self.assertEqual(event, Event(id="minted", received_at=12.5, type="error", message="SOMETHING"))

    def test_an_error_of_any_other_shape_is_kept_as_it_came(self) -> None:
        for data in ({}, {"data": None}, {"data": "UNAUTHORIZED"}, {"data": [1]}):
            event = read({"type": "error", **data})
            assert isinstance(event, Event)
            self.assertEqual(event.type, "error")

    def test_a_users_notification_is_an_event_with_its_message(self) -> None:
        event = read({"type": "user-notification", "data": {"message": "Service web failed"}})
        self.assertEqual(
            event, Event(id="minted", received_at=12.5, type="user-notification", message="Service web failed")
        )
        self.assertIsInstance(read({"type": "user-notifications", "data": []}), Event)


class Escaping(SynchronousTestCase):
    def test_never_exceeds_its_limit_and_leaves_short_text_alone(self) -> None:
        @given(st.text(), st.integers(3, 80))
        def check(text: str, limit: int) -> None:
            shown = escaped(text, limit)
            assert len(shown) <= limit
            assert shown.isascii()

        check()
        self.assertEqual(escaped("plain", 5), "plain")
        self.assertEqual(escaped("plainer", 5), "pl...")


class TheCorpus(SynchronousTestCase):
    def test_every_event_of_every_story_is_read(self) -> None:
        ids = count()
        for path in sorted(CORPUS.glob("*.jsonl")):
            if path.name in ("hostile.jsonl", "container_exec.jsonl") or path.name.endswith("_logs.jsonl"):
                continue
            for line in path.read_bytes().splitlines():
                decoded = decode(line, 1.0, lambda: str(next(ids)))
                self.assertNotIsInstance(decoded, Malformed)

    def test_every_hostile_message_is_either_an_event_or_malformed(self) -> None:
        lines = (CORPUS / "hostile.jsonl").read_text().splitlines()
        expected = json.loads((CORPUS / "hostile.index.json").read_text())
        self.assertEqual(len(lines), 89)
        understood = {
            entry["name"]
            for entry, line in zip(expected, lines, strict=True)
            if not isinstance(decode(base64.b64decode(json.loads(line)), 1.0), Malformed)
        }
        self.assertIn("extra unknown fields", understood)
        self.assertIn("unknown state", understood)
        self.assertNotIn("unknown type", understood)
        self.assertNotIn("parents has null", understood)
        self.assertNotIn("lone surrogate escape", understood)
