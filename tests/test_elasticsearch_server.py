"""The strict Elasticsearch refuses what the real one refuses: without that, passing its tests would prove nothing."""

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.destinations import Scripted
from tests.elasticsearch_server import Elasticsearch

NDJSON = {"content-type": "application/x-ndjson"}
JSON = {"content-type": "application/json"}
MAPPING = {"dynamic": False, "properties": {"n": {"type": "long"}, "k": {"type": "keyword"}}}


class TheStrictElasticsearch(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Elasticsearch(Clock(), lambda: 0.0)

    def asked(self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
        """Status, and the type of the error or the whole answer."""
        checked = self.server.check(method, target, NDJSON if headers is None else headers, body)
        found = json.loads(checked.body)
        self.assertEqual(bool(checked.problems), checked.status != 200)
        return checked.status, found["error"]["type"] if "error" in found else found

    def stored(self, *documents: Any, index: str = "i") -> list[Any]:
        """Status and error type of each, the first with id `0`."""
        lines = [
            line
            for n, document in enumerate(documents)
            for line in (json.dumps({"create": {"_index": index, "_id": str(n)}}), json.dumps(document))
        ]
        _, found = self.asked("POST", "/_bulk", "".join(f"{line}\n" for line in lines).encode())
        results = [one["create"] for one in found["items"]]
        self.assertEqual(found["errors"], any("error" in one for one in results))
        return [(one["status"], one.get("error", {}).get("type", "")) for one in results]

    def put(self, name: str = "t", headers: dict[str, str] | None = None, **template: Any) -> Any:
        return self.asked("PUT", f"/_index_template/{name}", json.dumps(template).encode(), headers or JSON)

    def test_takes_documents_once(self) -> None:
        self.assertEqual(self.stored({"a": 1}, {"a": 2}), [(201, ""), (201, "")])
        self.assertEqual(self.stored({"a": 3}), [(409, "version_conflict_engine_exception")])
        self.assertEqual(self.server.documents("i"), [{"a": 1}, {"a": 2}])

    def test_refuses_a_body_that_breaks_a_rule_wholly(self) -> None:
        good = b'{"create":{"_index":"i","_id":"x"}}\n{}\n'
        long = json.dumps({"create": {"_index": "i", "_id": "x" * 513}}).encode()
        for body in (
            b"",
            b"\n",
            good[:-1],
            good + b'{"create":{"_index":"i","_id":"y"}}\n',
            good + b'{"index":{"_index":"i","_id":"y"}}\n{}\n',
            good + b'{"create":{"_index":"i","_id":""}}\n{}\n',
            good + b'{"create":{"_id":"y"}}\n{}\n',
            good + b'{"create":{"_index":"i","_id":"y","_type":"t"}}\n{}\n',
            good + b"create\n{}\n",
            good + long + b"\n{}\n",
        ):
            self.assertEqual(self.asked("POST", "/_bulk", body)[0], 400, body[-60:])
        self.assertEqual(self.server.documents(), [])

    def test_refuses_other_types_parameters_and_paths(self) -> None:
        good = b'{"create":{"_index":"i","_id":"x"}}\n{}\n'
        self.assertEqual(self.asked("POST", "/_bulk", good, {}), (406, "media_type_header_exception"))
        self.assertEqual(self.asked("POST", "/_bulk?fliter_path=x", good)[0], 400)
        self.assertEqual(self.asked("POST", "/search/_bulk/x", good)[0], 400)
        self.assertEqual(self.asked("GET", "/_bulk")[0], 400)

    def test_lets_nobody_in_without_the_right_header(self) -> None:
        self.server = Elasticsearch(Clock(), lambda: 0.0, "ApiKey k")
        for header, status in (("", 401), ("ApiKey x", 401), ("ApiKey k", 400)):
            self.assertEqual(self.asked("POST", "/_bulk", b"", {**NDJSON, "authorization": header})[0], status)

    def test_takes_no_body_above_its_limit(self) -> None:
        self.server.limit = 10
        self.assertEqual(self.asked("POST", "/_bulk", b"x" * 11), (413, "content_too_long_exception"))

    def test_makes_its_own_mapping_and_holds_everything_to_it(self) -> None:
        self.assertEqual(
            self.stored(
                {"n": 1, "t": "2015-09-01", "o": {"x": True}},
                {"n": "x"},
                {"n": {"x": 1}},
                {"t": "Tue"},
                {"o": 5},
                {"o": {"x": "maybe"}},
                {"": 1},
                {"n": ["2", 3, None], "o": [{"x": "true"}, {"y": 1.5}]},
                [],
            ),
            [
                (201, ""),
                *[(400, "document_parsing_exception")] * 5,
                (400, "illegal_argument_exception"),
                (201, ""),
                (400, "document_parsing_exception"),
            ],
        )

    def test_knows_how_many_fields_are_too_many(self) -> None:
        many = {f"f{n}": n for n in range(1001)}
        self.assertEqual(self.stored(many), [(400, "illegal_argument_exception")])
        del many["f0"]
        self.assertEqual(self.stored(many), [(201, "")])

    def test_gives_a_new_index_the_mapping_of_the_template_with_the_highest_priority(self) -> None:
        self.put("low", index_patterns=["i*"], template={"mappings": {}})
        self.put("high", index_patterns=["i-*"], priority=5, template={"mappings": MAPPING})
        self.stored({}, index="i")
        self.stored({}, index="i-1")
        self.assertEqual(self.server.indices["i"].mappings, {})
        self.assertEqual(self.server.indices["i-1"].mappings, MAPPING)

    def test_ignores_what_a_mapping_says_to_ignore(self) -> None:
        fields = {"o": {"type": "object", "enabled": False}, "k": {"type": "keyword", "ignore_above": 5}}
        self.put(index_patterns=["i"], template={"mappings": {"dynamic": False, "properties": fields}})
        documents = ({"o": 1, "x": {}}, {"o": {"": []}, "x": 1}, {"k": "x" * 40_000})
        self.assertEqual(self.stored(*documents), [(201, "")] * 3)

    def test_takes_no_term_that_is_too_long(self) -> None:
        self.put(index_patterns=["i"], template={"mappings": MAPPING})
        self.assertEqual(self.stored({"k": "ü" * 16_384}), [(400, "illegal_argument_exception")])
        self.assertEqual(self.stored({"k": "ü" * 16_383}), [(201, "")])

    def test_refuses_templates_that_make_no_sense(self) -> None:
        good = {"index_patterns": ["i-*"], "priority": 1}
        self.assertEqual(self.put(**good), (200, {"acknowledged": True}))
        self.assertEqual(self.put(**good), (200, {"acknowledged": True}))
        self.assertEqual(self.put(headers=NDJSON, **good)[0], 406)
        for name, template in (
            ("u", {**good, "index_patterns": ["i-x*"]}),
            ("u", {"priority": 1}),
            ("u", {"index_patterns": ["u"], "mappings": {}}),
            ("u", {"index_patterns": ["u"], "template": {"mappings": {"properties": {"a": {"type": "string"}}}}}),
            ("u", {"index_patterns": ["u"], "template": {"mappings": {"dynamc": False}}}),
            ("u", {"index_patterns": ["u"], "template": {"mappings": {"properties": {"a": 5}}}}),
            ("U", {"index_patterns": ["u"]}),
        ):
            self.assertEqual(self.put(name, None, **template), (400, "illegal_argument_exception"), template)
        self.assertEqual(self.asked("PUT", "/_index_template/u", b"[]", JSON)[0], 400)
        self.assertEqual([*self.server.templates], ["t"])

    def test_makes_no_index_with_a_bad_name_and_none_at_all_where_it_must_not(self) -> None:
        for name in ("I", "-i", "a b", "a/b", "x" * 256):
            self.assertEqual(self.stored({}, index=name), [(400, "invalid_index_name_exception")])
        self.server.auto_create = False
        self.assertEqual(self.stored({}), [(404, "index_not_found_exception")])

    def test_leaves_out_of_its_answers_what_was_not_asked_for(self) -> None:
        body = b'{"create":{"_index":"i","_id":"x"}}\n{}\n{"create":{"_index":"i","_id":"x"}}\n{}\n'
        path = "/_bulk?filter_path=errors,items.*.status,items.*.error.type"
        conflict = {"status": 409, "error": {"type": "version_conflict_engine_exception"}}
        self.assertEqual(
            self.asked("POST", path, body),
            (200, {"errors": True, "items": [{"create": {"status": 201}}, {"create": conflict}]}),
        )
        self.assertEqual(self.asked("POST", "/_bulk?filter_path=nothing", body), (200, {}))

    def test_can_be_searched(self) -> None:
        self.stored({"a": 1}, {"a": 2}, index="i-1")
        status, found = self.asked("GET", "/i-*/_search?size=1")
        self.assertEqual((status, found["hits"]["total"]["value"]), (200, 2))
        self.assertEqual([one["_source"] for one in found["hits"]["hits"]], [{"a": 1}])
        self.assertEqual(self.asked("GET", "/i-*/_search?size=10001")[0], 400)

    def test_does_nothing_that_it_was_told_to_refuse(self) -> None:
        self.server.script("/_bulk", Scripted(status=503))
        self.server.check("POST", "/_bulk", NDJSON, b'{"create":{"_index":"i","_id":"x"}}\n{}\n')
        self.assertEqual(self.server.documents(), [])
