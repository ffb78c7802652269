from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost
from twisted.logger import Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.contracts_notifiers import EVENT, NOW, URI, Credentials, NotifierContract, message, outcome
from tests.destinations import Scripted
from tests.elasticsearch_mapping import RefusedError
from tests.elasticsearch_server import Elasticsearch
from tests.net.wire import Network
from tutumstream.event import Event
from tutumstream.net.http import HttpClient
from tutumstream.notifiers.bulk_api import PATH
from tutumstream.notifiers.elasticsearch import BODY_BYTES, LEAST_BYTES, ElasticsearchNotifier
from tutumstream.notifiers.elasticsearch_access import authorization
from tutumstream.notifiers.elasticsearch_index import IndexName
from tutumstream.notifiers.interface import Delivered, Hold, Message, Rejected, TryAgain, Verdict

BULK = "/_bulk"
TEMPLATE = "/_index_template/tutumstream-tutum-events"
BLOCKED = (
    '{"error":{"root_cause":[],"type":"cluster_block_exception",'
    '"reason":"blocked by: [FORBIDDEN/6/cluster read-only (api)];"},"status":403}'
)
KEY = "VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHAyYXhUTm1zeWFrdzl0dk5udw=="


class PasswordTests(Credentials, SynchronousTestCase):
    url = "http://elastic:passwords@sink.example"
    secrets = ("passwords", "ZWxhc3RpYzpwYXNzd29yZHM=")
    header = "Basic ZWxhc3RpYzpwYXNzd29yZHM="
    patience = 30.0
    way = "fast"

    def setUp(self) -> None:
        super().setUp()
        self.server: Any = Elasticsearch(self.network.clock, lambda: NOW, self.header)
        self.network.host("sink.example:80", self.server.site())
        self.path = BULK

    def create(self, http: HttpClient, url: str) -> ElasticsearchNotifier:
        return ElasticsearchNotifier(http, url, IndexName("tutum-events"), lambda: NOW)


class ContractTests(NotifierContract, PasswordTests):
    """See the contract."""

    def test_verdicts_come_one_a_message_in_their_order(self) -> None:
        self.server.trouble = {
            "one": [RefusedError("es_rejected_execution_exception", "queue is full", 429)],
            "three": [RefusedError("document_parsing_exception", "failed to parse field [x]")],
            "four": [RefusedError("unavailable_shards_exception", "primary shard is not active", 503)],
        }
        verdicts = self.told(self.make(), *[message(event=event(one)) for one in ("one", "two", "three", "four")])
        self.assertEqual([outcome(one) for one in verdicts], ["limited", "delivered", "rejected", "again"])
        self.assertEqual(len(self.bulks()), 1)
        assert isinstance(verdicts[2], Rejected)
        self.assertIn("document_parsing_exception", verdicts[2].reason)
        self.assertEqual(verdicts[2].answer, "document_parsing_exception: failed to parse field [x]")

    def bulks(self) -> list[Any]:
        found: list[Any] = self.server.bodies(BULK)
        return found


class ApiKeyTests(PasswordTests):
    url = "http://sink.example/"
    secrets = (KEY,)
    header = f"ApiKey {KEY}"

    def create(self, http: HttpClient, url: str) -> ElasticsearchNotifier:
        return ElasticsearchNotifier(
            http, url, IndexName("tutum-events"), lambda: NOW, authorization=authorization(KEY)
        )


class BearerTests(PasswordTests):
    url = "http://sink.example/"
    secrets = ("AAEAAWVsYXN0aWM",)
    header = "Bearer AAEAAWVsYXN0aWM"

    def create(self, http: HttpClient, url: str) -> ElasticsearchNotifier:
        index = IndexName("tutum-events-%Y.%m.%d")
        return ElasticsearchNotifier(http, url, index, lambda: NOW, authorization=authorization(self.header))


def event(name: str, **fields: Any) -> Event:
    return Event(**{"id": name, "received_at": NOW, "type": "container", "action": "create", **fields})


def with_resource(name: str, /, **fields: Any) -> Message:
    return message(event=event(name), resources={"resource": fields})


class ElasticsearchCase(SynchronousTestCase):
    """One notifier for a whole test, on a server of its own. What is logged is checked where it matters."""

    def setUp(self) -> None:
        self.network = Network()
        self.server = Elasticsearch(self.network.clock, lambda: NOW)
        self.network.host("es.example:9200", self.server.site())
        self.notifier = self.create()
        self.logged: list[str] = []
        self.notifier.log = self.observed()

    def observed(self) -> Any:
        return Logger(observer=lambda one: self.logged.append(formatEvent(one)))

    def create(self, index: str = "tutum-events", path: str = "", **more: Any) -> ElasticsearchNotifier:
        return ElasticsearchNotifier(
            self.network.client(way="fast"), f"http://es.example:9200{path}", IndexName(index), lambda: NOW, **more
        )

    def told(self, *messages: Message) -> list[Verdict]:
        pending = self.notifier.notify(messages)
        self.network.settle()
        verdicts: list[Verdict] = self.successResultOf(pending)
        return verdicts

    def outcomes(self, *messages: Message) -> list[str]:
        return [outcome(verdict) for verdict in self.told(*messages)]

    def asked(self, path: str = "/") -> list[str]:
        return [f"{one.method} {one.path}" for one in self.server.requests if one.path.startswith(path)]

    def sizes(self) -> list[int]:
        """How many documents each `_bulk` brought."""
        return [one.body.count("\n") // 2 for one in self.server.requests if one.path == BULK]


class Documents(ElasticsearchCase):
    def test_are_the_events_with_their_time_and_their_parents_by_type(self) -> None:
        self.told(message())
        service = "/api/v1/service/d0b1eb62-7662-4a81-8a10-d5a74b07811e/"
        self.assertEqual(
            self.server.documents("tutum-events"),
            [
                {
                    "@timestamp": "2015-09-01T11:59:57.500Z",
                    "received_at": "2015-09-01T11:59:57.500Z",
                    "id": EVENT.id,
                    "type": "container",
                    "action": "create",
                    "state": "Starting",
                    "resource_uri": URI,
                    "parents": [service],
                    "parent": {"service": service},
                }
            ],
        )

    def test_have_the_events_id_so_that_two_messages_of_one_event_are_one_document(self) -> None:
        verdicts = self.told(message(id="e-0", event=event("e")), message(id="e-1", event=event("e")))
        self.assertEqual(verdicts, [Delivered(), Delivered()])
        self.assertEqual([*self.server.indices["tutum-events"].documents], ["e"])

    def test_that_are_sent_again_are_stored_once(self) -> None:
        self.server.script(BULK, Scripted(cut="before"))
        self.told(message())
        self.assertEqual(self.outcomes(message()), ["delivered"])
        self.assertEqual(self.outcomes(message()), ["delivered"])
        self.assertEqual(len(self.server.documents()), 1)

    def test_whose_id_would_be_too_long_get_a_short_one(self) -> None:
        messages = [message(event=event("ü" * count)) for count in (256, 257, 258)]
        self.assertEqual(self.outcomes(*messages), ["delivered"] * 3)
        self.assertEqual([len(one) for one in self.server.indices["tutum-events"].documents], [256, 64, 64])

    def test_hold_the_resource_without_its_environment_and_can_be_found_by_its_name(self) -> None:
        secret = [{"key": "MYSQL_PASS", "value": "hush"}]
        self.told(
            with_resource("e1", name="web-1", state="Running", container_envvars=secret, link_variables={"A": "hush"}),
            with_resource("e2", nickname="node.example", calculated_envvars=secret),
            with_resource("e3", name=5),
        )
        found = self.server.documents()
        self.assertEqual([one.get("name") for one in found], ["web-1", "node.example", None])
        self.assertEqual(found[0]["resource"], {"name": "web-1", "state": "Running"})
        self.assertEqual(found[1]["resource"], {"nickname": "node.example"})

    def test_of_any_shape_fit_the_mapping(self) -> None:
        nested: Any = "deep"
        for _ in range(200):
            nested = {"x": [nested]}
        shapes = (
            {"labels": {}},
            {"labels": ["a", 1, None, {"b": 2}]},
            {"labels": "text", "memory": 1},
            {"memory": "2g", "": 1, "a..b": {".": None}},
            {f"field{n}": n for n in range(3000)},
            {"big": "x" * 500_000, "number": 10**40, "nested": nested},
        )
        verdicts = self.outcomes(*[with_resource(f"e{n}", **shape) for n, shape in enumerate(shapes)])
        self.assertEqual(verdicts, ["delivered"] * len(shapes))
        self.assertEqual(self.sizes(), [len(shapes)])
        self.assertEqual([one["resource"] for one in self.server.documents()], list(shapes))
        self.assertEqual(self.logged, [])

    def test_of_a_day_go_to_the_index_of_the_day_in_which_they_were_received(self) -> None:
        self.notifier = self.create("tutum-events-%Y.%m.%d")
        self.told(message(event=event("a", received_at=NOW)), message(event=event("b", received_at=NOW + 43200)))
        self.assertEqual([*self.server.indices], ["tutum-events-2015.09.01", "tutum-events-2015.09.02"])


class TheTemplate(ElasticsearchCase):
    def test_is_put_once_before_the_first_documents(self) -> None:
        self.assertEqual(self.told(), [])
        self.assertEqual(self.asked(), [])
        self.told(message(event=event("a")))
        self.told(message(event=event("b")))
        self.assertEqual(self.asked(), [f"PUT {TEMPLATE}", f"POST {BULK}", f"POST {BULK}"])
        self.assertEqual([one.problems for one in self.server.requests], [[], [], []])
        mapping = self.server.indices["tutum-events"].mappings["properties"]
        self.assertEqual(mapping["@timestamp"], {"type": "date"})
        self.assertEqual(mapping["resource"], {"type": "object", "enabled": False})
        self.assertEqual(mapping["state"]["type"], "keyword")
        self.assertEqual(mapping["message"], {"type": "text"})

    def test_is_put_once_by_two_who_come_at_the_same_time(self) -> None:
        both = [self.notifier.notify([message(event=event(name))]) for name in ("a", "b")]
        self.network.settle()
        for one in both:
            self.assertEqual(self.successResultOf(one), [Delivered()])
        self.assertEqual(len(self.asked(TEMPLATE)), 1)

    def test_of_one_who_was_cancelled_is_put_by_the_next(self) -> None:
        self.server.script(TEMPLATE, Scripted(hang="before"))
        first, second = (self.notifier.notify([message(event=event(name))]) for name in ("a", "b"))
        first.cancel()
        self.network.settle()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(self.successResultOf(second), [Delivered()])

    def test_that_is_not_taken_is_told_once_and_the_documents_are_sent(self) -> None:
        for status in (400, 403, 404, 405, 410, 418, 501):
            with self.subTest(status=status):
                self.setUp()
                self.server.script(TEMPLATE, Scripted(status=status, body='{"error":\n"no"}', times=-1))
                self.assertEqual(self.outcomes(message(event=event("a"))), ["delivered"])
                self.assertEqual(self.outcomes(message(event=event("b"))), ["delivered"])
                self.assertEqual(len(self.asked(TEMPLATE)), 1)
                (line,) = self.logged
                self.assertIn(f'({status}: {{"error":\\n"no"}})', line)

    def test_comes_first_so_trouble_with_it_keeps_the_documents_back(self) -> None:
        for answer, expected in (
            (Scripted(status=401), "hold"),
            (Scripted(status=307), "hold"),
            (Scripted(status=406), "hold"),
            (Scripted(status=407), "hold"),
            (Scripted(status=415), "hold"),
            (Scripted(status=403, body=BLOCKED), "hold"),
            (Scripted(status=408), "again"),
            (Scripted(status=429), "limited"),
            (Scripted(status=500), "again"),
            (Scripted(status=503), "again"),
            (Scripted(status=507), "again"),
            (Scripted(status=200, body="<html>log in"), "again"),
            (Scripted(cut="before"), "again"),
        ):
            self.server.script(TEMPLATE, answer)
            self.assertEqual(self.outcomes(message(event=event("a")), message(event=event("b"))), [expected] * 2)
        self.assertEqual(self.asked(BULK), [])
        self.assertEqual(self.outcomes(message()), ["delivered"])
        self.assertEqual(self.server.indices["tutum-events"].mappings["dynamic"], False)
        self.assertEqual(self.logged, [])

    def test_of_a_blocked_cluster_is_held_for_the_block_and_not_for_our_rights(self) -> None:
        self.server.script(TEMPLATE, Scripted(status=403, body=BLOCKED))
        self.server.script(BULK, Scripted(status=403, body=BLOCKED))
        for _ in (TEMPLATE, BULK):
            (verdict,) = self.told(message())
            assert isinstance(verdict, Hold)
            self.assertEqual(verdict.reason, "it answered 403: the cluster is blocked")
            self.assertIn("read-only", verdict.answer)

    def test_of_a_closer_name_counts_beside_one_of_a_wider_name(self) -> None:
        for index in ("tutum-events", "tutum-events-staging", "tutum-events-%Y.%m"):
            self.notifier = self.create(index)
            self.notifier.log = self.observed()
            self.told(message(event=event("a")))
        self.assertEqual([*self.server.indices], ["tutum-events", "tutum-events-staging", "tutum-events-2015.09"])
        for one in self.server.indices.values():
            self.assertEqual(one.mappings["dynamic"], False)
        self.assertEqual(self.logged, [])


class WithoutTheTemplate(ElasticsearchCase):
    """The server's own, dynamic mapping: the first document decides what the next may be."""

    def setUp(self) -> None:
        super().setUp()
        self.server.script(TEMPLATE, Scripted(status=403))

    def test_a_document_that_does_not_fit_is_stored_without_its_resource(self) -> None:
        verdicts = self.outcomes(
            with_resource("a", memory=1),
            with_resource("b", memory={"limit": 1}),
            message(event=event("c")),
            with_resource("d", **{f"field{n}": n for n in range(3000)}),
        )
        self.assertEqual(verdicts, ["delivered"] * 4)
        self.assertEqual(self.sizes(), [4, 2])
        self.assertEqual([(one["id"], "resource" in one) for one in self.server.documents()], [
            ("a", True), ("c", False), ("b", False), ("d", False),
        ])  # fmt: skip
        self.told(with_resource("e", memory="2g"))
        self.assertEqual(len([one for one in self.logged if "without it" in one]), 1)

    def test_what_is_refused_without_it_too_is_refused(self) -> None:
        self.server.trouble["a"] = [RefusedError("document_parsing_exception", "no")] * 2
        self.assertEqual(self.outcomes(with_resource("a", x=1)), ["rejected"])


class ABatch(ElasticsearchCase):
    def test_is_one_request(self) -> None:
        self.assertEqual(self.notifier.batch, 500)
        self.assertEqual(self.outcomes(*[message(event=event(f"e{n}")) for n in range(500)]), ["delivered"] * 500)
        self.assertEqual(self.sizes(), [500])

    def test_that_is_too_long_becomes_several(self) -> None:
        messages = [with_resource(f"e{n}", text="x" * 1_000_000) for n in range(11)]
        self.assertEqual(self.outcomes(*messages), ["delivered"] * 11)
        self.assertEqual(self.sizes(), [5, 5, 1])
        lengths = [len(one.body) for one in self.server.requests if one.path == BULK]
        self.assertLessEqual(max(lengths), BODY_BYTES)

    def test_that_is_refused_for_its_length_is_halved_and_the_next_ones_are_shorter(self) -> None:
        self.server.limit = 300_000
        messages = [with_resource(f"e{n}", text="x" * 100_000) for n in range(8)]
        self.assertEqual(self.outcomes(*messages), ["delivered"] * 8)
        self.assertEqual(self.sizes(), [8, 4, 2, 2, 4, 2, 2])
        self.server.forget()
        messages = [with_resource(f"f{n}", text="x" * 100_000) for n in range(4)]
        self.assertEqual(self.outcomes(*messages), ["delivered"] * 4)
        self.assertEqual(self.sizes(), [2, 2])

    def test_never_becomes_shorter_than_one_refusal_can_tell(self) -> None:
        self.server.script(BULK, *[Scripted(status=413)] * 3)
        self.outcomes(*[message(event=event(f"e{n}")) for n in range(100)])
        self.server.forget()
        messages = [message(event=event(f"f{n}", message="x" * 200)) for n in range(100)]
        self.outcomes(*messages)
        self.assertEqual(self.sizes(), [100])
        self.assertLess(len(self.server.requests[0].body), LEAST_BYTES)

    def test_loses_only_the_document_that_is_too_long_by_itself(self) -> None:
        self.server.limit = 50_000
        long = event("long", message="x" * 60_000)
        verdicts = self.told(message(event=event("a")), message(event=long), message(event=event("b")))
        self.assertEqual([outcome(one) for one in verdicts], ["delivered", "rejected", "delivered"])
        assert isinstance(verdicts[1], Rejected)
        self.assertIn("too long", verdicts[1].reason)

    def test_stores_a_document_that_is_too_long_with_its_resource_without_it(self) -> None:
        self.server.limit = 50_000
        verdicts = self.outcomes(message(event=event("a")), with_resource("long", text="x" * 60_000))
        self.assertEqual(verdicts, ["delivered", "delivered"])
        self.assertNotIn("resource", self.server.documents()[1])

    def test_that_is_refused_as_a_whole_is_halved_until_the_one_is_found(self) -> None:
        refused = Scripted(status=400, body='{"error":{"type":"parse_exception"}}')
        self.server.script(BULK, refused, Scripted(), refused, Scripted(), refused)
        verdicts = self.outcomes(*[message(event=event(name)) for name in "abcd"])
        self.assertEqual(verdicts, ["delivered", "delivered", "delivered", "rejected"])
        self.assertEqual(self.sizes(), [4, 2, 2, 1, 1])

    def test_ends_where_the_server_is_in_trouble_and_what_was_not_sent_waits_too(self) -> None:
        for answer, expected, asked in (
            (Scripted(status=429, headers={"Retry-After": "7"}), TryAgain, 1),
            # A connection that was kept may have been closed before, so it is asked once more over another.
            (Scripted(cut="before", times=2), TryAgain, 2),
            (Scripted(status=401), Hold, 1),
        ):
            self.setUp()
            self.notifier = self.create(body_bytes=5000)
            self.server.script(BULK, Scripted(), answer)
            verdicts = self.told(*[with_resource(f"e{n}", text="x" * 2000) for n in range(6)])
            self.assertEqual([type(one) for one in verdicts], [Delivered] * 2 + [expected] * 4)
            self.assertEqual(self.sizes(), [2] * (1 + asked))

    def test_whose_answer_is_too_long_to_be_read_is_halved_and_what_was_stored_stays_stored_once(self) -> None:
        self.notifier = self.create(answer_bytes=3000)
        self.server.trouble = {name: [RefusedError("document_parsing_exception", "x" * 1100)] * 4 for name in "bcdg"}
        verdicts = self.outcomes(*[message(event=event(name)) for name in "abcdefgh"])
        self.assertEqual(verdicts, [
            "delivered", "rejected", "rejected", "rejected", "delivered", "delivered", "rejected", "delivered",
        ])  # fmt: skip
        self.assertEqual(self.sizes(), [8, 4, 2, 2, 4])
        self.assertEqual([one["id"] for one in self.server.documents()], ["a", "e", "f", "h"])

    def test_with_a_document_whose_refusal_is_too_long_by_itself_loses_at_most_that_ones_resource(self) -> None:
        self.notifier = self.create(answer_bytes=3000)
        self.server.trouble["b"] = [RefusedError("document_parsing_exception", "x" * 5000)] * 3
        messages = [with_resource(name, x=1) for name in "abcd"]
        self.assertEqual(self.outcomes(*messages), ["delivered"] * 4)
        self.assertEqual(self.sizes(), [4, 2, 1, 1, 2, 1])
        stored = {one["id"]: "resource" in one for one in self.server.documents()}
        self.assertEqual(stored, {"a": True, "b": False, "c": True, "d": True})

    def test_is_not_given_up_for_how_we_speak_and_stored_when_that_is_taken_again(self) -> None:
        messages = [with_resource(f"e{n}", x=1) for n in range(8)]
        for status in (406, 415):
            self.server.script(BULK, Scripted(status=status))
            self.assertEqual(self.outcomes(*messages), ["hold"] * 8)
        self.assertEqual(self.sizes(), [8, 8], "no document is looked for that would be to blame")
        self.assertEqual(self.outcomes(*messages), ["delivered"] * 8)

    def test_waits_as_long_as_it_is_asked_to(self) -> None:
        self.server.script(BULK, Scripted(status=429, headers={"Retry-After": "7"}))
        verdicts = self.told(message(event=event("a")), message(event=event("b")))
        for verdict in verdicts:
            assert isinstance(verdict, TryAgain)
            self.assertEqual((verdict.after, verdict.limited), (7.0, True))

    def test_whose_answer_is_cut_short_is_sent_again_in_part(self) -> None:
        said = '{"errors":true,"items":[{"create":{"status":201}}]}'
        self.server.script(BULK, Scripted(status=200, body=said))
        verdicts = self.outcomes(message(event=event("a")), message(event=event("b")), message(event=event("c")))
        self.assertEqual(verdicts, ["delivered", "again", "again"])

    def test_keeps_going_to_a_server_behind_a_path(self) -> None:
        self.notifier = self.create(path="/search/")
        self.server.script("/search" + TEMPLATE, Scripted(status=200, body='{"acknowledged":true}'))
        self.server.script("/search" + BULK, Scripted(status=200, body='{"errors":false,"items":[{}]}'))
        self.assertEqual(self.outcomes(message()), ["delivered"])

    def test_of_an_unreachable_server_is_tried_again(self) -> None:
        self.told(message())
        self.network.cut()
        self.network.host("es.example:9200", ConnectionLost())
        self.assertEqual(self.outcomes(message()), ["again"])


class AnIndexThatIsNotThere(ElasticsearchCase):
    def test_and_can_not_come_into_being_holds_the_destination(self) -> None:
        self.server.auto_create = False
        self.assertEqual(self.outcomes(message()), ["hold"])


class TheNotifier(ElasticsearchCase):
    def test_says_where_it_stores(self) -> None:
        self.assertEqual(repr(self.notifier), "<Elasticsearch index tutum-events at http://es.example:9200>")

    def test_wants_the_resource_no_text_and_a_full_batch(self) -> None:
        self.assertEqual(self.notifier.needs, {"resource"})
        self.assertFalse(self.notifier.textual)
        self.assertEqual(self.notifier.linger, 1.0)

    def test_asks_for_an_answer_without_what_nobody_reads(self) -> None:
        self.assertIn("filter_path", PATH)
        self.told(message())
        self.assertEqual([one.problems for one in self.server.requests], [[], []])
