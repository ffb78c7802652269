import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.errors import ExchangeError
from tutumstream.net.http import Answer
from tutumstream.resources.inventory import PAGE_BYTES, PASSES, Inventory, Lister, collections

CONTAINERS = "/api/v1/container/"


def an_object(name: object, **more: Any) -> dict[str, Any]:
    return {"uuid": str(name), "resource_uri": f"{CONTAINERS}{name}/", "state": "Running", **more}


class Api:
    """Answers at once: first what it was told to, then what it has.

    Attributes:
        asked: path and query of each request.
        weight: for how many bytes each of an answer counts.
        moved: called before each page.
    """

    def __init__(self, objects: list[dict[str, Any]], limit: int = 25) -> None:
        self.objects = objects
        self.limit = limit
        self.answers: list[Answer | ExchangeError] = []
        self.asked: list[str] = []
        self.headers: dict[str, str] = {}
        self.moved = lambda: None
        self.weight = 1

    def exchange(self, method: str, url: str, headers: Any = None, body: bytes = b"", **how: Any) -> Deferred[Answer]:
        """See `Exchanges`."""
        parts = urlsplit(url)
        self.headers = dict(headers)
        self.asked.append(parts.path + (f"?{parts.query}" if parts.query else ""))
        if self.answers:
            answer = self.answers.pop(0)
            return fail(answer) if isinstance(answer, ExchangeError) else succeed(answer)
        if parts.path != CONTAINERS:
            found = [each for each in self.objects if each["resource_uri"] == parts.path]
            return succeed(Answer(200, {}, json.dumps(found[0]).encode()) if found else Answer(404))
        self.moved()
        query = {name: int(value[0]) for name, value in parse_qs(parts.query).items()}
        limit, offset = min(query["limit"], self.limit), query["offset"]
        more = offset + limit < len(self.objects)
        page = {"meta": {"next": "/evil" if more else None}, "objects": self.objects[offset : offset + limit]}
        text = json.dumps(page).encode()
        room = how["limit"] // self.weight
        return succeed(Answer(200, {}, text[:room], whole=len(text) <= room))


class AList(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.troubles: list[str] = []

    def lister(self, api: Api) -> Lister:
        paths = {"container": CONTAINERS}
        lister = Lister(api, "https://tutum.example/api/v1/", paths, "Basic a2V5", self.clock, lambda: 0.0, lambda: 0.0)
        lister.trouble = self.troubles.append
        return lister

    def stock(self, api: Api, wait: float = 0.0) -> Inventory:
        asked = self.lister(api).take_stock()
        if wait:
            self.assertNoResult(asked)
            self.clock.advance(wait - 0.1)
            self.assertNoResult(asked)
            self.clock.advance(0.2)
        found: Inventory = self.successResultOf(asked)
        return found

    def names(self, inventory: Inventory) -> list[str]:
        return [uri.split("/")[-2] for uri in inventory.objects]

    def test_is_read_page_by_page_to_its_end(self) -> None:
        for number in (0, 1, 24, 25, 26, 60):
            api = Api([an_object(n) for n in range(number)])
            self.assertEqual(self.names(self.stock(api)), [str(n) for n in range(number)])
        self.assertEqual(self.troubles, [])

    def test_is_asked_for_with_the_credentials_and_nowhere_else_than_at_the_server(self) -> None:
        api = Api([an_object(n) for n in range(30)])
        self.stock(api)
        self.assertEqual(api.headers["Authorization"], "Basic a2V5")
        self.assertEqual(api.asked, [f"{CONTAINERS}?limit=100&offset=0", f"{CONTAINERS}?limit=100&offset=24"])

    def test_shows_states_and_what_each_belongs_to(self) -> None:
        shown = an_object(1, service="/api/v1/service/w/", node=None, stack=7, containers=[{"deep": []}])
        (one,) = self.stock(Api([shown])).objects.values()
        self.assertEqual((one.type, one.state, one.belongs_to), ("container", "Running", ("/api/v1/service/w/",)))

    def test_without_its_envelope_is_one_page(self) -> None:
        api = Api([])
        api.answers = [Answer(200, {}, json.dumps({"objects": [{"uuid": "x", "state": None}]}).encode())]
        (one,) = self.stock(api).objects.values()
        self.assertEqual((one.uri, one.state), (f"{CONTAINERS}x/", ""))

    def test_that_the_server_does_not_have_is_no_list(self) -> None:
        api = Api([])
        api.answers = [Answer(404)]
        self.assertEqual(self.stock(api), Inventory({}, frozenset()))

    def test_that_moved_while_it_was_read_is_read_again(self) -> None:
        api = Api([an_object(n) for n in range(12)], limit=5)
        moves = [lambda: None, lambda: api.objects.pop(0)]
        api.moved = lambda: moves.pop(0)() if moves else None
        self.assertEqual(set(self.names(self.stock(api))), {str(n) for n in range(12)})

    def test_that_never_stands_still_is_what_was_seen_in_the_end(self) -> None:
        api = Api([an_object(n) for n in range(40)], limit=5)
        api.moved = lambda: api.objects.pop(0)
        names = set(self.names(self.stock(api)))
        self.assertLessEqual({each["uuid"] for each in api.objects}, names)
        self.assertLess(len(api.asked), PASSES * 10)

    def test_of_a_server_that_ignores_the_offset_comes_to_an_end(self) -> None:
        api = Api([])
        page = {"meta": {"next": "more"}, "objects": [an_object(1), an_object(2)]}
        api.answers = [Answer(200, {}, json.dumps(page).encode())] * 100
        self.assertEqual(self.names(self.stock(api)), ["1", "2"])

    def test_with_a_page_that_is_too_long_is_read_in_smaller_ones(self) -> None:
        api = Api([an_object(n, labels="x" * (PAGE_BYTES // 1000 // 20)) for n in range(50)], limit=100)
        api.weight = 1000
        self.assertEqual(len(self.stock(api).objects), 50)

    def test_is_asked_for_again_until_it_is_there(self) -> None:
        api = Api([an_object(1)])
        api.answers = [Answer(500)]
        self.assertEqual(self.names(self.stock(api, 1.0)), ["1"])
        api.answers = [ExchangeError("https://tutum.example", "it refused the connection")]
        self.assertEqual(self.names(self.stock(api, 1.0)), ["1"])
        self.assertEqual(self.troubles, ["it answered 500", "it refused the connection"])

    def test_waits_as_long_as_the_server_asks(self) -> None:
        api = Api([an_object(1)])
        for status in (429, 503):
            api.answers = [Answer(status, {"retry-after": "120"})]
            self.assertEqual(self.names(self.stock(api, 120.0)), ["1"])

    def test_that_is_refused_or_makes_no_sense_is_asked_for_again_but_rarely(self) -> None:
        nameless = b'{"objects": [{"state": "Running"}]}'
        for answer in (
            Answer(401),
            Answer(302, {"location": "https://evil.example/"}),
            Answer(200, {}, b"<html>"),
            Answer(200, {}, b"[]"),
            Answer(200, {}, b"[" * 100_000),
            Answer(200, {}, nameless),
        ):
            api = Api([an_object(1)])
            api.answers = [answer]
            self.assertEqual(self.names(self.stock(api, 60.0)), ["1"])

    def test_that_is_not_wanted_any_more_is_not_asked_for_again(self) -> None:
        api = Api([an_object(1)])
        api.answers = [Answer(500)]
        asked = self.lister(api).take_stock()
        asked.cancel()
        self.failureResultOf(asked)
        self.clock.advance(1000.0)
        self.assertEqual(len(api.asked), 1)

    def test_is_no_place_for_what_is_looked_at_by_itself(self) -> None:
        api = Api([an_object(n) for n in range(12)])
        uris = [f"{CONTAINERS}{n}/" for n in range(10, 14)]
        found = self.successResultOf(self.lister(api).look([*uris, "https://evil.example/", "/api/v1/../x/", ""]))
        self.assertEqual(sorted(found), uris[:2])
        self.assertEqual(sorted(api.asked), uris)

    def test_is_where_its_server_has_it(self) -> None:
        self.assertEqual(collections("wss://stream.tutum.co/v1/events")["node"], "/api/v1/node/")
        cloud = collections("wss://ws.cloud.docker.com/api/audit/v1/events")
        self.assertEqual(
            (cloud["service"], cloud["nodecluster"]), ("/api/app/v1/service/", "/api/infra/v1/nodecluster/")
        )
        self.assertEqual(
            collections("wss://c.example/api/audit/v1/acme/events?x=1")["stack"], "/api/app/v1/acme/stack/"
        )
        self.assertEqual(list(cloud), ["nodecluster", "node", "stack", "service", "container"])
