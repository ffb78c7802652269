import json

from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import CORPUS
from tutumstream.gateway.docker.facts import Port
from tutumstream.gateway.docker.swarm.facts import Update
from tutumstream.gateway.docker.swarm.reading import read_machines, read_services, read_tasks

ID = "a" * 25


def row(**fields: object) -> bytes:
    return json.dumps([{"ID": ID, **fields}]).encode()


class ReadingTests(SynchronousTestCase):
    def test_a_real_service(self) -> None:
        (one,) = read_services((CORPUS / "30-api-services.json").read_bytes())
        self.assertEqual((one.name, one.stack, one.mode, one.replicas), ("fixs", "st", "replicated", 1))
        self.assertEqual((one.image, one.options.run_command), ("busybox:latest", "sleep 100"))
        self.assertIsNone(one.update)

    def test_a_real_task(self) -> None:
        (one,) = read_tasks((CORPUS / "30-api-tasks.json").read_bytes())
        self.assertEqual((one.state, one.desired, one.slot), ("running", "running", 1))
        self.assertEqual((one.container[:8], one.node), ("c3e1015c", "kdfle5rzs70sgzid28bk4cbv0"))

    def test_what_follows_a_task_by_its_restart_policy(self) -> None:
        for policy, expected in (
            ({"Condition": "on-failure", "MaxAttempts": 3}, ("on-failure", 3, 5.0)),
            ({"Condition": "any", "MaxAttempts": 0, "Delay": 0}, ("any", 0, 0.0)),
            ({"MaxAttempts": -1, "Delay": 500_000_000}, ("any", 0, 0.5)),
            ("nonsense", ("any", 0, 5.0)),
        ):
            (one,) = read_tasks(row(Spec={"RestartPolicy": policy}))
            self.assertEqual((one.condition, one.attempts, one.delay / 1e9), expected)

    def test_tasks_that_went_wrong_say_why(self) -> None:
        found = read_tasks((CORPUS / "26-tasks-failed-rejected.json").read_bytes())
        wrong = {(one.state, one.error, one.exit_code, bool(one.container)) for one in found}
        self.assertIn(("failed", "task: non-zero exit (6)", 6, True), wrong)
        self.assertIn(("rejected", "No such image: nosuch.invalid/img:1", 0, False), wrong)

    def test_a_real_node(self) -> None:
        (one,) = read_machines((CORPUS / "30-api-nodes.json").read_bytes())
        self.assertEqual(
            (one.hostname, one.address, one.state, one.availability), ("vm", "127.0.0.1", "ready", "active")
        )
        self.assertEqual((one.cpus, one.memory, one.labels), (2, 24105, {"zone": "a"}))

    def test_modes(self) -> None:
        for mode, expected in (
            ({"Global": {}}, ("global", None)),
            ({"GlobalJob": {}}, ("global-job", None)),
            ({"ReplicatedJob": {"MaxConcurrent": 2, "TotalCompletions": 5}}, ("replicated-job", 5)),
            ({"ReplicatedJob": {"MaxConcurrent": 2}}, ("replicated-job", 2)),
            ({"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 0}}, ("replicated-job", 0)),
            ({"Replicated": {"Replicas": 3}}, ("replicated", 3)),
            ("nonsense", ("replicated", 0)),
        ):
            (one,) = read_services(row(Spec={"Mode": mode}))
            self.assertEqual((one.mode, one.replicas), expected)

    def test_an_update_and_its_ports(self) -> None:
        status = {"State": "paused", "StartedAt": "2026-11-23T15:00:00Z", "Message": "update paused"}
        ports = [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080}]
        (one,) = read_services(row(UpdateStatus=status, Endpoint={"Ports": ports}))
        self.assertEqual(one.update, Update(state="paused", started=1795446000 * 10**9, message="update paused"))
        self.assertEqual(one.ports, (Port(inner_port=80, outer_port=8080, protocol="tcp"),))

    def test_a_strange_field_hides_no_object(self) -> None:
        for strange in (None, 7, "text", [], {"Spec": 1}, {"Status": [1]}):
            for read in (read_machines, read_tasks, read_services):
                self.assertEqual(
                    len(read(row(Spec=strange, Status=strange, Endpoint=strange, UpdateStatus=strange))), 1
                )

    def test_a_strange_object_hides_no_other(self) -> None:
        raw = json.dumps([None, {"ID": "../../etc"}, {"ID": ID.upper()}, {}, {"ID": ID}]).encode()
        self.assertEqual([one.id for one in read_services(raw)], [ID])

    def test_what_is_no_list_is_refused(self) -> None:
        for raw in (b"", b"{}", b'{"message": "no"}', b"[" * 100_000):
            self.assertRaises(ValueError, read_tasks, raw)
