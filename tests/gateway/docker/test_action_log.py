from collections.abc import Callable

import msgspec
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.gateway.docker.model import START
from tests.gateway.docker.test_log_reading import Reader
from tutumstream.gateway.docker.action_log import ActionReading, Known, lines_of
from tutumstream.gateway.docker.actions import FAILED, IN_PROGRESS, REDEPLOY, SUCCESS, Action
from tutumstream.gateway.docker.control import Performed
from tutumstream.gateway.docker.log_following import read_logs
from tutumstream.gateway.docker.registry import Registry
from tutumstream.gateway.platform import Change, ILogs, Listener, Order

BEGUN = Action(uuid="ac", name=REDEPLOY, object="/api/v1/service/a/", state=IN_PROGRESS, started=START)
ORDER = Order(verb="stop", kind="service", uuid="5a")


class AnActionsLog(SynchronousTestCase):
    def setUp(self) -> None:
        self.action: Known | None = BEGUN
        self.listeners: list[Listener] = []
        self.reader = Reader()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener) if listener in self.listeners else None

    def read(self, tail: int = 300, follow: bool = True) -> ActionReading:
        return ActionReading(lambda: self.action, self.subscribe, tail, follow, self.reader)

    def change(self, kind: str = "action") -> None:
        for listener in tuple(self.listeners):
            listener(Change(type=kind, action="update", state="x", resource_uri="/api/v1/x/"))

    def end(self, state: str) -> None:
        self.action = msgspec.structs.replace(BEGUN, state=state, ended=START + 7.5)

    def test_says_what_began_what_went_wrong_and_how_it_ended(self) -> None:
        done = Performed("ad", ORDER, START, FAILED, START + 9.0, ("it is away\n", "x" * 5000))
        lines = lines_of(done)
        self.assertEqual([line.timestamp - START for line in lines], [0, 9, 9, 9])
        self.assertEqual([line.text for line in lines[:2]], ["Service Stop\n", "it is away\\n\n"])
        self.assertEqual((len(lines[2].text), lines[3].text), (1001, "Failed\n"))

    def test_is_followed_to_its_end(self) -> None:
        verifyObject(ILogs, self.read())
        self.change("service")
        self.change()
        self.assertEqual(self.reader.texts, ["Service Redeploy\n"])
        self.end(SUCCESS)
        self.change()
        self.assertEqual(self.reader.texts, ["Service Redeploy\n", "Success\n", "(end)"])
        self.assertEqual(self.listeners, [])

    def test_is_told_at_once_where_it_has_ended_or_nobody_follows(self) -> None:
        self.read(follow=False)
        self.assertEqual(self.reader.texts, ["Service Redeploy\n", "(end)"])
        self.end(FAILED)
        self.read(tail=1)
        self.assertEqual(self.reader.texts[2:], ["Failed\n", "(end)"])
        self.assertEqual(self.listeners, [])

    def test_of_what_is_forgotten_or_closed_ends(self) -> None:
        reading = self.read()
        reading.pause()
        reading.resume()
        self.action = None
        self.change()
        self.assertEqual(self.reader.texts, ["Service Redeploy\n", "(end)"])
        self.action = BEGUN
        another = self.read(tail=0)
        another.close()
        another.close()
        self.change()
        self.assertEqual((len(self.reader.texts), self.listeners), (2, []))

    def test_is_found_by_the_actions_that_docker_shows(self) -> None:
        registry = Registry("test", START)
        registry.actions.known["ac"] = msgspec.structs.replace(BEGUN, state=SUCCESS, ended=START + 1.0)
        found = [
            read_logs(registry, None, None, self.subscribe, kind, uuid, 5, True, self.reader)
            for kind, uuid in (("action", "ac"), ("action", "none"), ("service", "none"))
        ]
        self.assertEqual([each is not None for each in found], [True, False, False])
        self.assertEqual(self.reader.texts, ["Service Redeploy\n", "Success\n", "(end)"])
