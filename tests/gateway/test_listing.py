from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tutumstream.gateway.listing import BadNumberError, page
from tutumstream.gateway.platform import Resource

SHOP = {"uuid": "51", "resource_uri": "/api/v1/stack/51/", "name": "shop"}
BLOG = {"uuid": "52", "resource_uri": "/api/v1/stack/52/", "name": "blog"}
WEB = {"uuid": "a1", "resource_uri": "/api/v1/service/a1/", "name": "web", "stack": SHOP["resource_uri"]}
DB = {"uuid": "a2", "resource_uri": "/api/v1/service/a2/", "name": "db", "stack": BLOG["resource_uri"]}
CRON = {"uuid": "b3", "resource_uri": "/api/v1/service/b3/", "name": "cron", "stack": None}
SERVICES = [WEB, DB, CRON]
CONTAINERS = [
    {"uuid": f"c{number}", "name": f"{one['name']}-1", "service": one["resource_uri"], "state": "Running"}
    for number, one in enumerate(SERVICES)
]


def find(uri: str) -> Resource | None:
    return {one["resource_uri"]: one for one in (SHOP, BLOG, *SERVICES)}.get(uri)


def names(kind: str, resources: list[Any], **query: str) -> list[str]:
    return [one["name"] for one in page(kind, resources, query, find).objects]


class TestNames(SynchronousTestCase):
    def test_a_name_means_who_lives_and_has_it_as_long_as_there_is_one(self) -> None:
        old, new = (
            {"uuid": uuid, "name": "web", "state": state} for uuid, state in (("1", "Terminated"), ("2", "Running"))
        )
        self.assertEqual(page("container", [old, new], {"name": "web"}, {}.get).objects, [new])
        self.assertEqual(page("container", [old], {"name": "web"}, {}.get).objects, [old])
        self.assertEqual(page("container", [old, new], {}, {}.get).objects, [old, new])


class TestFilters(SynchronousTestCase):
    def test_services_by_what_clients_ask_for(self) -> None:
        self.assertEqual(names("service", SERVICES), ["web", "db", "cron"])
        self.assertEqual(names("service", SERVICES, name="db"), ["db"])
        self.assertEqual(names("service", SERVICES, uuid="a1"), ["web"])
        self.assertEqual(names("service", SERVICES, uuid__startswith="a"), ["web", "db"])
        self.assertEqual(names("service", SERVICES, stack="/api/v1/stack/52/"), ["db"])
        self.assertEqual(names("service", SERVICES, stack="52"), ["db"])
        self.assertEqual(names("service", SERVICES, stack__name="shop"), ["web"])

    def test_containers_by_the_stack_of_their_service(self) -> None:
        self.assertEqual(names("container", CONTAINERS, service__stack__name="shop"), ["web-1"])
        self.assertEqual(names("container", CONTAINERS, service__stack__name="shop", name="db-1"), [])
        self.assertEqual(names("container", CONTAINERS, service="a2"), ["db-1"])

    def test_a_parent_that_is_gone_matches_nothing(self) -> None:
        orphan = {"uuid": "d1", "name": "lost", "service": "/api/v1/service/ff/"}
        self.assertEqual(names("container", [orphan], service__stack__name="shop"), [])

    def test_unknown_filters_are_ignored(self) -> None:
        self.assertEqual(names("stack", [SHOP, BLOG], token="x", service="a1", format="json"), ["shop", "blog"])
        self.assertEqual(names("tag", [SHOP], name="blog"), ["shop"])


class TestPaging(SynchronousTestCase):
    many: ClassVar = [{"uuid": f"{number:03}", "name": str(number)} for number in range(60)]

    def meta(self, **query: str) -> dict[str, Any]:
        meta = page("stack", self.many, query, find).meta
        return {name: getattr(meta, name) for name in ("limit", "offset", "next", "previous", "total_count")}

    def test_a_page_has_25_objects_and_says_where_the_next_is(self) -> None:
        self.assertEqual(
            self.meta(),
            {
                "limit": 25,
                "offset": 0,
                "next": "/api/v1/stack/?limit=25&offset=25",
                "previous": None,
                "total_count": 60,
            },
        )

    def test_following_next_shows_every_object_once(self) -> None:
        seen: list[str] = []
        query: dict[str, str] = {"limit": "7"}
        while query:
            shown = page("stack", self.many, query, find)
            seen += [one["name"] for one in shown.objects]
            pairs = shown.meta.next.partition("?")[2].split("&") if shown.meta.next else []
            query = dict(pair.split("=") for pair in pairs)  # type: ignore[misc]  # two parts, always
        self.assertEqual(seen, [str(number) for number in range(60)])

    def test_previous_never_goes_below_zero(self) -> None:
        self.assertEqual(self.meta(offset="10")["previous"], "/api/v1/stack/?limit=25&offset=0")

    def test_a_page_never_has_more_than_100(self) -> None:
        self.assertEqual(self.meta(limit="1000")["limit"], 100)
        self.assertEqual(self.meta(limit="0")["limit"], 100)

    def test_an_offset_past_the_end_is_an_empty_page(self) -> None:
        self.assertEqual(page("stack", self.many, {"offset": "99"}, find).objects, [])

    def test_filters_are_kept_in_next_and_credentials_are_not(self) -> None:
        shown = page("stack", self.many, {"limit": "1", "uuid__startswith": "0", "token": "s3cret", "user": "u"}, find)
        self.assertEqual(shown.meta.next, "/api/v1/stack/?limit=1&offset=1&uuid__startswith=0")

    def test_what_is_no_number_is_a_clear_error(self) -> None:
        for text in ("x", "-1", "1.5", "²", "9" * 11):
            with self.assertRaises(BadNumberError) as caught:
                self.meta(limit=text)
            self.assertEqual(str(caught.exception), "limit must be a number that is not negative")
