import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import START, compose, container, container_id
from tutumstream.gateway.docker.control import Subject
from tutumstream.gateway.docker.facts import Options
from tutumstream.gateway.docker.groups import Orders
from tutumstream.gateway.docker.log_reading import Origin
from tutumstream.gateway.docker.registry import Registry
from tutumstream.gateway.docker.subjects import log_origins, subject_of
from tutumstream.gateway.docker.swarm.facts import Ordered
from tutumstream.gateway.platform import OrderError


class TestSubjects(SynchronousTestCase):
    def setUp(self) -> None:
        self.registry = Registry("test", START)
        self.registry.observe(container_id(1), container(1, "shop-web-1", labels=compose("web")), START)
        self.registry.observe(
            container_id(2),
            container(2, "shop-db-1", labels=compose("db"), stop_timeout=90, options=Options(tty=True)),
            START,
        )
        self.web, self.db = (self.registry.containers[container_id(number)] for number in (1, 2))

    def test_a_container_a_service_and_a_stack_lead_to_containers(self) -> None:
        stack = self.web.place.stack
        assert stack is not None
        web, db = {container_id(1): 10.0}, {container_id(2): 90.0}
        self.assertEqual(subject_of(self.registry, "container", self.web.uuid), Subject(web))
        self.assertEqual(subject_of(self.registry, "service", self.db.place.service), Subject(db))
        self.assertEqual(subject_of(self.registry, "stack", stack), Subject({**web, **db}))

    def test_what_a_swarm_looks_after_is_reached_through_the_swarm_alone(self) -> None:
        service, stack = self.web.place.service, self.web.place.stack
        assert stack is not None
        ordered = Ordered(id="s" * 25, name="web")
        self.registry.groups.orders[service] = Orders(state="Running", service=ordered)
        self.assertEqual(subject_of(self.registry, "service", service), Subject({}, ("s" * 25,)))
        self.assertEqual(subject_of(self.registry, "stack", stack), Subject({container_id(2): 90.0}, ("s" * 25,)))

    def test_what_runs_on_another_machine_is_out_of_reach(self) -> None:
        task = {**self.web.container.labels, "com.docker.swarm.task.id": "t" * 25}
        away = msgspec.structs.replace(self.web.container, labels=task)
        self.registry.containers[container_id(1)] = msgspec.structs.replace(self.web, machine="n" * 25, container=away)
        with self.assertRaises(OrderError) as refused:
            subject_of(self.registry, "container", self.web.uuid)
        self.assertEqual(refused.exception.status, 409)

    def test_logs_from_another_machine_come_by_its_task_and_those_of_a_service_by_the_swarm(self) -> None:
        labels = {**self.web.container.labels, "com.docker.swarm.task.id": "t" * 25}
        away = msgspec.structs.replace(self.web.container, name="web.1." + "t" * 25, labels=labels)
        self.registry.containers[container_id(1)] = msgspec.structs.replace(self.web, machine="n" * 25, container=away)
        self.assertEqual(
            log_origins(self.registry, "container", self.web.uuid),
            [Origin("t" * 25, "web.1." + "t" * 25, kind="tasks")],
        )
        service = self.web.place.service
        self.registry.groups.orders[service] = Orders(state="Running", service=Ordered(id="s" * 25, name="shop_web"))
        (origin,) = log_origins(self.registry, "service", service)
        self.assertEqual((origin.kind, origin.id, origin.name), ("services", "s" * 25, "shop_web"))
        assert origin.names is not None
        self.assertEqual((origin.names("t" * 25), origin.names("u" * 25)), ("web.1." + "t" * 25, ""))

    def test_their_logs_have_a_name_and_know_of_their_terminal(self) -> None:
        self.assertEqual(
            log_origins(self.registry, "service", self.db.place.service),
            [Origin(container_id(2), "shop-db-1")],
        )

    def test_what_is_gone_or_was_never_there_leads_nowhere(self) -> None:
        uuid = self.web.uuid
        self.registry.observe(container_id(1), None, START + 1)
        for kind, key in (("container", uuid), ("container", "x"), ("service", "x"), ("stack", "x"), ("node", "x")):
            self.assertIsNone(subject_of(self.registry, kind, key), kind)
            self.assertEqual(log_origins(self.registry, kind, key), [])
