import json
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from tests.gateway.docker.model import container_id
from tests.gateway.docker.test_client import Response
from tutumstream.errors import DockerError
from tutumstream.gateway.docker.transport import Agents
from tutumstream.gateway.docker.writer import PATIENCE, DockerWriter

CONTAINER = container_id(0xABC)
SERVICE = "a1" * 12 + "z"


class Agent:
    """Remembers method, path and body; the test answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.answers: list[Deferred[Any]] = []

    def request(self, method: bytes, uri: bytes, _headers: Headers, body: Any) -> Deferred[Any]:
        self.asked.append((method.decode(), uri.decode().removeprefix("http://docker"), body._inputFile.read()))
        self.answers.append(Deferred())
        return self.answers[-1]


class TestWriter(SynchronousTestCase):
    def setUp(self) -> None:
        self.agent, self.clock = Agent(), Clock()
        agents = Agents(None, self.agent, lambda: succeed(None))  # type: ignore[arg-type]  # as much as is used
        self.writer = DockerWriter(agents, self.clock, "unix:///x", lambda: "/v1.41")

    def answer(self, code: int, body: bytes = b"") -> None:
        self.agent.answers[-1].callback(Response(code, {}, body))

    def test_each_verb_has_its_one_path(self) -> None:
        for do, method, path in (
            (lambda: self.writer.start(CONTAINER), "POST", f"/v1.41/containers/{CONTAINER}/start"),
            (lambda: self.writer.stop(CONTAINER, 10), "POST", f"/v1.41/containers/{CONTAINER}/stop"),
            (lambda: self.writer.restart(CONTAINER, 10), "POST", f"/v1.41/containers/{CONTAINER}/restart"),
            (lambda: self.writer.remove(CONTAINER), "DELETE", f"/v1.41/containers/{CONTAINER}?force=1"),
            (lambda: self.writer.remove_service(SERVICE), "DELETE", f"/v1.41/services/{SERVICE}"),
            (lambda: self.writer.update_service(SERVICE, 7, {}), "POST", f"/v1.41/services/{SERVICE}/update?version=7"),
        ):
            doing = do()
            self.answer(204)
            self.successResultOf(doing)
            self.assertEqual(self.agent.asked[-1][:2], (method, path))

    def test_what_is_no_id_reaches_no_engine(self) -> None:
        for wrong in ("", "web", CONTAINER[:-1], CONTAINER.upper(), f"{CONTAINER}/exec", f"../{CONTAINER}", "x\r\ny"):
            for doing in (self.writer.start(wrong), self.writer.remove(wrong), self.writer.remove_service(wrong)):
                self.failureResultOf(doing, DockerError)
            self.failureResultOf(self.writer.service(wrong), DockerError)
        self.assertEqual(self.agent.asked, [])

    def test_a_service_is_read_as_it_is_and_written_as_json(self) -> None:
        reading = self.writer.service(SERVICE)
        self.answer(200, b'{"Spec": {"x": 9223372036854775807}}')
        self.assertEqual(self.successResultOf(reading), {"Spec": {"x": 9223372036854775807}})
        self.writer.update_service(SERVICE, 7, {"x": 9223372036854775807})
        self.assertEqual(json.loads(self.agent.asked[-1][2]), {"x": 9223372036854775807})
        garbage = self.writer.service(SERVICE)
        self.answer(200, b"[")
        self.failureResultOf(garbage, DockerError)

    def test_what_was_so_already_is_fine_and_a_refusal_is_told(self) -> None:
        fine = self.writer.start(CONTAINER)
        self.answer(304)
        self.successResultOf(fine)
        gone = self.writer.start(CONTAINER)
        self.answer(404, b'{"message":"No such container"}')
        self.assertIn("No such container", str(self.failureResultOf(gone, DockerError).value))
        proxied = self.writer.start(CONTAINER)
        self.answer(403, b"<h1>Forbidden</h1>")
        self.assertIn("must allow POST", str(self.failureResultOf(proxied, DockerError).value))

    def test_a_stop_may_take_its_grace_and_no_longer(self) -> None:
        stopping = self.writer.stop(CONTAINER, 300.0)
        self.clock.advance(300.0)
        self.assertNoResult(stopping)
        self.clock.advance(PATIENCE)
        self.failureResultOf(stopping, DockerError)
