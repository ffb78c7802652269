from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.contracts_notifiers import NOW, outcome
from tutumstream.net.http import Answer
from tutumstream.notifiers.bulk_api import DELIVERED, entry, grouped, identity, judge
from tutumstream.notifiers.interface import ANSWER_LIMIT, Delivered, Hold, Rejected, TryAgain, Verdict


def answered(*items: Any, errors: Any = True, status: int = 200) -> Answer:
    return Answer(status, {}, msgspec.json.encode({"errors": errors, "items": items}))


def cut(*items: Any) -> Answer:
    """Of a long answer to a bulk the first 5,000 bytes."""
    return Answer(200, {}, answered(*items).body[:5000], whole=False)


def failed(status: int, kind: str = "some_exception", reason: str = "because") -> dict[str, Any]:
    return {"create": {"status": status, "error": {"type": kind, "reason": reason}}}


def one(item: Any) -> Verdict:
    found = judge(answered(item), 1, NOW)
    assert isinstance(found, list)
    return found[0]


class AnEntry(SynchronousTestCase):
    def test_is_two_lines_that_create_one_document(self) -> None:
        self.assertEqual(
            entry("tutum-events", "e1", b'{"a":1}'),
            b'{"create":{"_index":"tutum-events","_id":"e1"}}\n{"a":1}\n',
        )

    def test_has_an_id_of_at_most_512_bytes_that_is_always_the_same(self) -> None:
        self.assertEqual(identity("x" * 512), "x" * 512)
        self.assertEqual(len(identity("x" * 513)), 64)
        self.assertEqual(identity("ü" * 300), identity("ü" * 300))
        self.assertNotEqual(identity("ü" * 300), identity("ü" * 301))


class Groups(SynchronousTestCase):
    def test_are_as_long_as_allowed(self) -> None:
        self.assertEqual([*grouped([b"aa", b"bb", b"c", b"dd"], 4)], [[b"aa", b"bb"], [b"c", b"dd"]])

    def test_let_what_is_too_long_go_alone(self) -> None:
        self.assertEqual([*grouped([b"a", b"bbbbbb", b"c"], 4)], [[b"a"], [b"bbbbbb"], [b"c"]])

    def test_of_nothing_are_none(self) -> None:
        self.assertEqual([*grouped([], 4)], [])

    @given(st.lists(st.binary(max_size=9), max_size=40), st.integers(1, 20))
    def test_lose_nothing_and_keep_the_order(self, entries: list[bytes], limit: int) -> None:
        groups = [*grouped(entries, limit)]
        self.assertEqual([one for group in groups for one in group], entries)
        for group in groups:
            self.assertTrue(len(group) == 1 or sum(map(len, group)) <= limit)


class AnAnswer(SynchronousTestCase):
    def test_without_errors_is_a_success_of_all(self) -> None:
        self.assertEqual(judge(answered({}, {}, errors=False), 2, NOW), [DELIVERED, DELIVERED])

    def test_without_errors_but_for_fewer_is_none_of_the_others(self) -> None:
        item = {"create": {"status": 201}}
        found = judge(answered(item, errors=False), 2, NOW)
        assert isinstance(found, list)
        self.assertEqual([outcome(each) for each in found], ["delivered", "again"])

    def test_for_more_than_were_sent_says_nothing_of_any(self) -> None:
        self.assertIsInstance(judge(answered({}, {}, errors=False), 1, NOW), TryAgain)

    def test_that_is_no_answer_to_a_bulk_is_tried_again(self) -> None:
        for body in (b"", b"<html>", b"[]", b'{"items":5}', b'{"errors":false}', b'{"items":[', b"[" * 5000):
            self.assertIsInstance(judge(Answer(200, {}, body), 1, NOW), TryAgain, body[:9])

    def test_with_another_status_is_judged_by_it_alone(self) -> None:
        for status, expected in (
            (201, TryAgain),
            (302, Hold),
            (404, Hold),
            (406, Hold),
            (413, Rejected),
            (415, Hold),
            (503, TryAgain),
        ):
            self.assertIsInstance(judge(answered({}, errors=False, status=status), 1, NOW), expected)

    def test_that_was_cut_refuses_the_request_so_that_each_half_is_sent(self) -> None:
        found = judge(cut(failed(400, reason="x" * 9000), failed(400, reason="x" * 9000)), 2, NOW)
        assert isinstance(found, Rejected)
        self.assertEqual(found.reason, "its answer is too long to be read")
        self.assertIn("some_exception", found.answer)

    def test_that_was_cut_for_one_document_is_judged_by_what_was_read(self) -> None:
        quoted = 'Preview of the value: {"status":201}' + "x" * 9000
        for status, kind, expected in (
            (400, "document_parsing_exception", "rejected"),
            (400, "index_closed_exception", "hold"),
            (403, "cluster_block_exception", "hold"),
            (409, "version_conflict_engine_exception", "delivered"),
            (429, "es_rejected_execution_exception", "limited"),
            (503, "unavailable_shards_exception", "again"),
        ):
            found = judge(cut(failed(status, kind, quoted)), 1, NOW)
            assert isinstance(found, list)
            self.assertEqual([outcome(each) for each in found], [expected], kind)
            if not isinstance(found[0], Delivered):
                self.assertEqual(found[0].reason, f"it answered {status} for the document: {kind}")
                self.assertEqual(len(found[0].answer), ANSWER_LIMIT)

    def test_that_was_cut_before_its_status_is_tried_again(self) -> None:
        for item in ({"create": {"error": {"reason": '"status":201' + "x" * 9000}}}, {"create": {"_id": "x" * 9000}}):
            found = judge(cut(item), 1, NOW)
            assert isinstance(found, list)
            self.assertEqual([outcome(each) for each in found], ["again"])

    def test_that_was_cut_and_is_none_to_a_bulk_divides_nothing(self) -> None:
        for body in (b"<html>" + b"x" * 9000, b'{"message":"' + b"x" * 9000, b'{"a":[{"items":[' + b"x" * 9000, b""):
            self.assertIsInstance(judge(Answer(200, {}, body, whole=False), 2, NOW), TryAgain, body[:9])

    def test_that_may_have_been_cut_and_was_not_is_judged_as_any(self) -> None:
        whole = answered({"create": {"status": 201}}, failed(400))
        found = judge(Answer(200, {}, whole.body, whole=False), 2, NOW)
        assert isinstance(found, list)
        self.assertEqual([outcome(each) for each in found], ["delivered", "rejected"])

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=5),
            lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(
                st.sampled_from(["create", "index", "status", "error", "type", "reason", "items", "errors"]), deeper
            ),
            max_leaves=20,
        ),
        st.integers(1, 4),
    )  # fmt: skip
    def test_of_any_shape_gets_a_verdict_for_each(self, said: Any, count: int) -> None:
        for body in (said, {"errors": True, "items": said}, {"errors": True, "items": [said] * 3}):
            found = judge(Answer(200, {}, msgspec.json.encode(body)), count, NOW)
            verdicts = found if isinstance(found, list) else [found] * count
            self.assertEqual(len(verdicts), count)
            for verdict in verdicts:
                self.assertIsInstance(verdict, Delivered | TryAgain | Hold | Rejected)


class AnItem(SynchronousTestCase):
    def test_that_was_stored_is_delivered_under_any_operations_name(self) -> None:
        for name in ("create", "index"):
            for status in (200, 201):
                self.assertIs(one({name: {"status": status}}), DELIVERED)

    def test_whose_id_is_taken_was_stored_before(self) -> None:
        self.assertIs(one(failed(409, "version_conflict_engine_exception")), DELIVERED)
        text = {"create": {"status": 409, "error": "VersionConflictEngineException[[x] document already exists]"}}
        self.assertIs(one(text), DELIVERED)
        self.assertEqual(outcome(one(failed(409, "something_else"))), "again")

    def test_is_judged_by_its_status(self) -> None:
        for status, expected in (
            (100, "again"),
            (300, "again"),
            (302, "again"),
            (400, "rejected"),
            (401, "hold"),
            (403, "hold"),
            (404, "hold"),
            (408, "again"),
            (413, "rejected"),
            (425, "again"),
            (429, "limited"),
            (500, "again"),
            (501, "again"),
            (503, "again"),
        ):
            verdict = one(failed(status))
            self.assertEqual(outcome(verdict), expected, status)
            assert not isinstance(verdict, Delivered)
            self.assertEqual(verdict.answer, "some_exception: because")
            self.assertEqual(verdict.reason, f"it answered {status} for the document: some_exception")

    def test_that_is_refused_for_the_index_or_the_cluster_waits(self) -> None:
        full = "Validation Failed: 1: this action would add [2] shards, but this cluster currently has [1000]/[1000];"
        for kind, reason in (
            ("index_closed_exception", "closed"),
            ("invalid_index_name_exception", "Invalid index name [X]"),
            ("validation_exception", full),
            ("illegal_argument_exception", full),
            ("illegal_argument_exception", "no write index is defined for alias [x]."),
            ("illegal_argument_exception", "pipeline with id [logs] does not exist"),
        ):
            verdict = one(failed(400, kind, reason))
            self.assertEqual(outcome(verdict), "hold", reason)
            self.assertEqual(verdict.reason, f"it answered 400 for the document: {kind}: {reason}")
        self.assertEqual(outcome(one(failed(400, "illegal_argument_exception", "immense term"))), "rejected")
        self.assertEqual(outcome(one(failed(500, "illegal_argument_exception", full))), "again")

    def test_that_nobody_understands_is_tried_again_and_kept(self) -> None:
        for item in (None, 5, [], {}, {"create": 5}, {"create": {}}, {"create": {"status": "201"}}, {"a": {}, "b": {}}):
            verdict = one(item)
            self.assertEqual(outcome(verdict), "again")
            assert isinstance(verdict, TryAgain)
            self.assertEqual(verdict.answer, msgspec.json.encode(item).decode())

    def test_may_fail_without_a_readable_reason(self) -> None:
        for error in (None, 5, {}, {"type": None, "reason": 5}, []):
            verdict = one({"create": {"status": 400, "error": error}})
            assert isinstance(verdict, Rejected)
            self.assertEqual(verdict.reason, "it answered 400 for the document: no reason")
            self.assertIn('"status":400', verdict.answer)
        text = one({"create": {"status": 400, "error": "MapperParsingException[failed]"}})
        assert isinstance(text, Rejected)
        self.assertEqual(text.answer, ": MapperParsingException[failed]")

    def test_with_a_long_reason_keeps_its_start(self) -> None:
        for item in (failed(400, reason="x" * 9000), {"create": {"status": "x" * 9000}}):
            verdict = one(item)
            assert isinstance(verdict, Rejected | TryAgain)
            self.assertEqual(len(verdict.answer), ANSWER_LIMIT)
