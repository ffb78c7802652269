import json
import re

from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import CORPUS, SECOND, START, Told, compose, container, container_id
from tutumstream.gateway.docker.facts import Engine
from tutumstream.gateway.docker.reading import read_container
from tutumstream.gateway.docker.resources import get_resource, list_resources, tutum_date
from tutumstream.gateway.platform import KINDS, Resource

# What Tutum's own clients can't do without (protocol B5), and what they can't stand to be null.
REQUIRED = {
    "service": "name uuid state synchronized current_num_containers image_name deployed_datetime public_dns stack "
    "resource_uri linked_to_service calculated_envvars tags containers container_ports",
    "container": "name uuid state image_name run_command exit_code deployed_datetime container_ports public_dns node "
    "service resource_uri linked_to_container container_envvars private_ip docker_id",
    "stack": "name uuid state deployed_datetime destroyed_datetime resource_uri services synchronized",
    "node": "uuid external_fqdn last_seen state node_cluster docker_version resource_uri public_ip",
}
NOT_NULL = {
    "service": "uuid name state deployed_datetime containers container_ports",
    "container": "uuid name state node service container_ports deployed_datetime run_command",
    "stack": "uuid name state deployed_datetime services",
    "node": "uuid external_fqdn last_seen state resource_uri",
}
# Keys that break the SDK's objects (protocol B3).
FORBIDDEN = {"pk", "is_dirty", "logs", "start", "stop", "redeploy", "scale", "delete", "save", "refresh", "deploy"}
DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [1-9]\d? [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000")


class ResourcesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told = Told()
        self.told.registry.describe_engine(Engine(hostname="vm", version="20.10.24", cpus=2, memory=1024), START)
        fixture = read_container((CORPUS / "30-api-container-inspect.json").read_bytes())
        self.put(fixture, container(2, "shop_web_2", "exited", labels=compose("web"), exit_code=137, finished=SECOND))
        self.put(container(3, "solo"))
        self.told.truth.containers.pop(container_id(3))
        self.told.look(container_id(3), START + 60)

    def put(self, *containers: object) -> None:
        for one in containers:
            self.told.truth.containers[one.id] = one  # type: ignore[attr-defined]  # they are containers
            self.told.look(one.id, START + 50)  # type: ignore[attr-defined]  # they are containers

    def one(self, kind: str, name: str) -> Resource:
        return next(one for one in list_resources(self.told.registry, kind) if one.get("name", name) == name)

    def test_every_field_that_clients_need_is_there(self) -> None:
        for kind, fields in REQUIRED.items():
            for one in list_resources(self.told.registry, kind):
                self.assertEqual(set(fields.split()) - set(one), set(), kind)
                self.assertEqual([name for name in NOT_NULL[kind].split() if one[name] is None], [], kind)
                self.assertEqual(FORBIDDEN & set(one), set(), kind)

    def test_everything_is_json(self) -> None:
        for kind in KINDS:
            for one in list_resources(self.told.registry, kind):
                self.assertEqual(json.loads(json.dumps(one)), one)

    def test_lists_and_single_objects_agree(self) -> None:
        seen = 0
        for kind in KINDS:
            for one in list_resources(self.told.registry, kind):
                self.assertEqual(get_resource(self.told.registry, kind, one["uuid"]), one)
                self.assertEqual(one["resource_uri"], f"/api/v1/{kind}/{one['uuid']}/")
                seen += 1
        self.assertEqual(seen, 3 + 2 + 1 + 1)

    def test_what_is_not_there_is_none(self) -> None:
        for kind in (*KINDS, "volume"):
            self.assertIsNone(get_resource(self.told.registry, kind, "nobody"))
        self.assertEqual(list_resources(self.told.registry, "nodecluster"), [])

    def test_references_lead_to_objects(self) -> None:
        web = self.one("container", "fix")
        self.assertEqual(get_resource(self.told.registry, "node", web["node"].split("/")[-2])["state"], "Deployed")  # type: ignore[index]  # it is there
        service = self.one("service", "web")
        self.assertEqual(web["service"], service["resource_uri"])
        self.assertIn(web["resource_uri"], service["containers"])
        self.assertEqual(service["stack"], self.one("stack", "shop")["resource_uri"])
        self.assertEqual(self.one("stack", "shop")["services"], [service["resource_uri"]])

    def test_a_service_counts_its_containers(self) -> None:
        service = self.one("service", "web")
        counts = [service[f"{which}_num_containers"] for which in ("target", "current", "running", "stopped")]
        self.assertEqual((counts, service["state"]), ([2, 2, 1, 1], "Partly running"))
        self.assertEqual(self.one("stack", "shop")["state"], "Partly running")

    def test_no_environment_variable_is_served(self) -> None:
        self.assertNotIn("A=1", json.dumps([list_resources(self.told.registry, kind) for kind in KINDS]))
        self.assertEqual(self.one("container", "fix")["container_envvars"], [])

    def test_what_ended_says_so(self) -> None:
        solo, service = self.one("container", "solo"), self.one("service", "solo")
        self.assertEqual((solo["state"], service["state"]), ("Terminated", "Terminated"))
        self.assertEqual(solo["destroyed_datetime"], tutum_date(START + 60))
        self.assertEqual((service["destroyed_datetime"], service["containers"]), (tutum_date(START + 60), []))
        self.assertEqual(self.one("node", "")["current_num_containers"], 2)

    def test_an_end_is_explained(self) -> None:
        for code, error, said in (
            (137, "", "Exit code 137 (SIGKILL)"),
            (3, "", "Exit code 3"),
            (127, "exec: not found", "exec: not found"),
            (None, "", None),
        ):
            self.put(container(4, "ended", "exited", exit_code=code, error=error))
            ended = self.one("container", "ended")
            self.assertEqual((ended["exit_code"], ended["exit_code_msg"]), (code, said))

    def test_what_docker_starts_again_says_so_and_so_does_its_service(self) -> None:
        self.put(container(4, "job_run_1", "restarting", labels=compose("run", "job"), exit_code=9, finished=SECOND))
        for kind, name, expected in (
            ("container", "job_run_1", True),
            ("service", "run", True),
            ("service", "web", False),
        ):
            self.assertIs(self.one(kind, name)["docker"]["restarting"], expected)

    def test_what_runs_has_not_ended(self) -> None:
        self.put(container(4, "again", "running", exit_code=3, finished=SECOND))
        again = self.one("container", "again")
        self.assertEqual((again["exit_code"], again["exit_code_msg"], again["stopped_datetime"]), (None, None, None))

    def test_ports_are_shown_to_containers_and_services(self) -> None:
        for one in (self.one("container", "fix"), self.one("service", "web")):
            (port,) = one["container_ports"]
            self.assertEqual((port["inner_port"], port["outer_port"], port["protocol"]), (80, None, "tcp"))
            self.assertEqual((port["published"], port["endpoint_uri"]), (False, None))

    def test_a_published_port_has_an_address(self) -> None:
        ports = [{"inner_port": 80, "outer_port": 8080, "protocol": "tcp"}]
        self.put(container(4, "public", ports=ports))
        (port,) = self.one("container", "public")["container_ports"]
        self.assertEqual((port["published"], port["endpoint_uri"]), (True, "tcp://vm:8080/"))

    def test_an_image_is_named_without_its_digest(self) -> None:
        self.put(container(4, "pinned", image="busybox:1@sha256:" + "0" * 64))
        self.assertEqual(self.one("container", "pinned")["image_name"], "busybox:1")

    def test_lists_are_in_the_order_of_creation(self) -> None:
        names = [one["name"] for one in list_resources(self.told.registry, "container")]
        self.assertEqual(names, ["shop_web_2", "solo", "fix"])

    def test_dates_are_tutums(self) -> None:
        self.assertEqual(tutum_date(1413198103), "Mon, 13 Oct 2014 11:01:43 +0000")
        self.assertEqual(tutum_date(1412161303), "Wed, 1 Oct 2014 11:01:43 +0000")
        self.assertIsNone(tutum_date(0))
        for kind in KINDS:
            for one in list_resources(self.told.registry, kind):
                dates = [value for name, value in one.items() if name.endswith(("_datetime", "last_seen")) and value]
                self.assertEqual([value for value in dates if not DATE.fullmatch(value)], [])
