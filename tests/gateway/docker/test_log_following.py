from collections.abc import Callable

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import START, Told, compose, container, container_id, event
from tests.gateway.docker.test_client import Agent
from tests.gateway.docker.test_log_reading import Reader
from tutumstream.gateway.docker.log_following import read_logs
from tutumstream.gateway.docker.log_reading import LogClient, LogReading
from tutumstream.gateway.docker.transport import Agents
from tutumstream.gateway.platform import Listener

WEB = compose("web")


class AServiceThatIsFollowed(SynchronousTestCase):
    def setUp(self) -> None:
        self.told, self.agent, self.reader = Told(), Agent(), Reader()
        self.listeners: list[Listener] = []
        self.add(1)

    def add(self, number: int, **labels: str) -> None:
        """A container of the service that runs since a moment of its own."""
        started = (START + number) * 10**9
        one = container(number, f"shop-web-{number}", labels=labels or WEB, started=started)
        self.told.truth.containers[one.id] = one
        self.look(number)

    def look(self, number: int) -> None:
        before = len(self.told.changes)
        self.told.look(container_id(number), START + number + 0.5)
        for change in self.told.changes[before:]:
            for listener in tuple(self.listeners):
                listener(change)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def read(self, kind: str = "service", follow: bool = True) -> LogReading:
        agents = Agents(None, self.agent, lambda: succeed(None))  # type: ignore[arg-type]  # as much as is used
        client = LogClient(agents, Clock(), "unix:///x", lambda: "/v1.41")
        (known, *_) = self.told.registry.containers.values()
        uuid = known.place.service if kind == "service" else known.uuid
        reading = read_logs(self.told.registry, client, None, self.subscribe, kind, uuid, 5, follow, self.reader)
        assert isinstance(reading, LogReading)
        return reading

    def asked(self) -> list[tuple[int, str]]:
        """The containers whose logs were asked for, and from when on."""
        uris = [uri.decode() for _, uri, _ in self.agent.asked]
        return [(int(uri.split("/")[5], 16), uri.partition("since=")[2]) for uri in uris]

    def test_is_read_with_what_starts_later_from_its_start_on(self) -> None:
        self.read()
        self.add(2)
        self.add(3, **compose("db"))
        self.assertEqual(self.asked(), [(1, ""), (2, f"{START}.000000000")])

    def test_is_read_again_when_a_container_starts_again_and_not_when_something_else_happens_to_it(self) -> None:
        self.read()
        for status, at, end in (("exited", 1, 7), ("running", 9, 7)):
            known = self.told.truth.containers[container_id(1)]
            self.told.truth.containers[known.id] = container(
                1,
                "shop-web-1",
                status,
                labels=WEB,
                started=(START + at) * 10**9,
                exit_code=0,
                finished=(START + end) * 10**9,
            )
            self.look(1)
            self.look(1)
        self.assertEqual(self.asked(), [(1, ""), (1, f"{START + 7}.000000000")])

    def test_is_read_again_when_a_run_was_over_before_anybody_looked(self) -> None:
        self.read()
        for started, end in ((1, 7), (9, 10), (11, 12)):
            self.told.truth.containers[container_id(1)] = container(
                1, "shop-web-1", "exited", labels=WEB, started=(START + started) * 10**9, finished=(START + end) * 10**9
            )
            self.look(1)
        self.assertEqual(self.asked(), [(1, ""), (1, f"{START + 7}.000000000"), (1, f"{START + 10}.000000000")])

    def test_of_which_one_was_only_heard_of_at_first_is_read_once(self) -> None:
        self.told.truth.containers[container_id(2)] = container(2, "shop-web-2", "created", labels=WEB)
        self.look(2)
        self.read()
        seen = len(self.told.changes)
        start = event("start", 2, START + 9.5)
        self.told.hear(start, look=False)
        self.told.truth.apply(start)
        self.told.look(container_id(2), START + 9.6)
        self.told.hear(event("kill", 2, START + 20.5, signal="15"))
        self.told.look(container_id(2), START + 1000.0)
        for change in self.told.changes[seen:]:
            self.listeners[0](change)
        states = [line.split()[2] for line in self.told.lines("container")[-3:]]
        self.assertEqual(states, ["Running", "Stopping", "Running"])
        self.assertEqual([own for own, _ in self.asked()].count(2), 2)

    def test_of_which_one_only_seemed_to_stop_is_not_read_twice(self) -> None:
        self.read()
        self.told.hear(event("kill", 1, at=START + 2.0, signal="15"))
        self.told.look(container_id(1), START + 1000.0)
        for change in self.told.changes:
            self.listeners[0](change)
        self.assertEqual(self.told.lines("container")[-1], "container update Running shop-web-1")
        self.assertEqual(self.asked(), [(1, "")])

    def test_ends_when_the_service_does_or_nobody_reads_any_more(self) -> None:
        self.read()
        reading = self.read()
        reading.close()
        self.assertEqual(len(self.listeners), 1)
        del self.told.truth.containers[container_id(1)]
        self.agent.answers[0].errback(ValueError("gone"))
        self.assertEqual(self.reader.texts, [])
        self.look(1)
        self.assertEqual((self.reader.texts, self.listeners), (["(end)"], []))

    def test_is_not_listened_for_without_follow_and_for_one_container(self) -> None:
        self.read(follow=False)
        self.read("container")
        self.assertEqual(self.listeners, [])
