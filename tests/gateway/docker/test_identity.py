import re

from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import compose, container
from tutumstream.gateway.docker.identity import (
    derived,
    is_being_replaced,
    is_intermediate,
    nickname,
    place_of,
    resource_uri,
)

VERSION_4 = re.compile(r"[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89ab][a-f0-9]{3}-[a-f0-9]{12}")


class IdentityTests(SynchronousTestCase):
    def test_a_uuid_is_stable_and_looks_random(self) -> None:
        # Written down: whoever changes it gives every object of every user another identity.
        self.assertEqual(derived("node", "local"), "d2ee1957-a4d7-468b-9223-47eee4861947")
        for n in range(50):
            self.assertIsNotNone(VERSION_4.fullmatch(derived("service", str(n))))

    def test_keys_do_not_run_into_each_other(self) -> None:
        keys = [
            ("service", "a", "b"),
            ("service", "ab", ""),
            ("service", "a", "", "b"),
            ("servicea", "b"),
            ("stack", "a", "b"),
        ]
        self.assertEqual(len({derived(*key) for key in keys}), len(keys))

    def test_a_uri_has_the_form_of_tutum(self) -> None:
        self.assertEqual(resource_uri("stack", "x"), "/api/v1/stack/x/")


class PlaceTests(SynchronousTestCase):
    def test_containers_of_one_compose_service_are_together(self) -> None:
        one, other = (
            container(1, "shop_web_1", labels=compose("web")),
            container(2, "shop_web_2", labels=compose("web")),
        )
        self.assertEqual(place_of(one, "e"), place_of(other, "e"))
        self.assertEqual((place_of(one, "e").service_name, place_of(one, "e").stack_name), ("web", "shop"))

    def test_services_of_one_project_share_the_stack_only(self) -> None:
        web, db = (place_of(container(labels=compose(name)), "e") for name in ("web", "db"))
        self.assertEqual(web.stack, db.stack)
        self.assertNotEqual(web.service, db.service)

    def test_a_plain_container_is_a_service_of_its_own(self) -> None:
        place = place_of(container(name="web"), "e")
        self.assertEqual((place.service_name, place.stack, place.stack_name), ("web", None, ""))
        self.assertEqual(place.service, place_of(container(2, name="web"), "e").service)
        self.assertNotEqual(place.service, place_of(container(name="web2"), "e").service)

    def test_compose_run_belongs_to_the_project_but_not_to_the_service(self) -> None:
        for word in ("True", "true"):
            run = place_of(container(name="shop_web_run_1", labels=compose("web", oneoff=word)), "e")
            self.assertEqual(run.stack, place_of(container(labels=compose("web")), "e").stack)
            self.assertEqual(run.service_name, "shop_web_run_1")

    def test_a_project_without_a_service_is_a_stack_all_the_same(self) -> None:
        place = place_of(container(labels={"com.docker.compose.project": "p"}), "e")
        self.assertEqual((place.service_name, place.stack_name), ("web", "p"))

    def test_names_that_are_none_are_no_names(self) -> None:
        for project in ("", "a\nb", "x" * 256, "\0"):
            self.assertIsNone(place_of(container(labels=compose("web", project)), "e").stack)

    def test_a_container_without_a_name_has_its_id(self) -> None:
        self.assertEqual(place_of(container(name=""), "e").service_name, "0" * 12)

    def test_a_renamed_container_stays_in_its_service(self) -> None:
        self.assertEqual(
            place_of(container(name="0123456789ab_web"), "e").service, place_of(container(name="web"), "e").service
        )

    def test_the_endpoint_is_part_of_every_group(self) -> None:
        for labels in ({}, compose("web")):
            here, there = (place_of(container(labels=labels), endpoint) for endpoint in ("a", "b"))
            self.assertNotEqual(here.service, there.service)

    def test_people_call_a_container_by_its_service_and_number(self) -> None:
        task = {"com.docker.swarm.service.id": "a" * 25, "com.docker.swarm.service.name": "shop_web"}
        staged = {**task, "com.docker.stack.namespace": "shop"}
        for name, labels, called in (
            ("shop_web_2", compose("web"), "web-2"),
            ("shop-web-2", compose("web"), "web-2"),
            ("0123456789ab_shop-web-2", compose("web"), "web-2"),
            ("front", compose("web"), "front"),
            ("shop-web-two", compose("web"), "shop-web-two"),
            ("db", {}, "db"),
            ("a\nb", {}, "0" * 12),
            ("shop_web.2." + "t" * 25, task, "shop_web-2"),
            ("shop_web.2." + "t" * 25, staged, "web-2"),
            ("shop_web." + "n" * 25 + "." + "t" * 25, staged, "web"),
        ):
            one = container(name=name, labels=labels)
            self.assertEqual(nickname(one, place_of(one, "e")), called)

    def test_only_compose_replaces(self) -> None:
        self.assertTrue(is_being_replaced(container(name="0123456789ab_shop_web_1", labels=compose("web"))))
        self.assertFalse(is_being_replaced(container(name="0123456789ab_web")))
        self.assertFalse(is_being_replaced(container(name="shop_web_1", labels=compose("web"))))

    def test_only_an_image_without_a_name_is_a_step_of_a_build(self) -> None:
        self.assertTrue(is_intermediate("sha256:" + "a" * 64, {}))
        self.assertFalse(is_intermediate("sha256:" + "a" * 64, compose("web")))
        self.assertFalse(is_intermediate("busybox@sha256:" + "a" * 64, {}))
