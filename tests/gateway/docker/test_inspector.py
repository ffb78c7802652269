import sys

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import container, container_id
from tutumstream.errors import DockerError
from tutumstream.gateway.docker.facts import Container
from tutumstream.gateway.docker.inspector import IN_FLIGHT, Inspector


class InspectorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.asked: list[tuple[str, Deferred[Container | None]]] = []
        self.seen: list[str] = []
        self.inspector = Inspector(self.ask, self.observe)

    def ask(self, own: str) -> Deferred[Container | None]:
        answer: Deferred[Container | None] = Deferred()
        self.asked.append((own, answer))
        return answer

    def observe(self, own: str, found: Container | None) -> None:
        if found is not None and found.name == "poison":
            raise RuntimeError("boom")
        self.seen.append(own)

    def test_a_thousand_hints_of_one_container_cost_two_requests(self) -> None:
        for _ in range(1000):
            self.inspector.mark(container_id(1))
        self.assertEqual(len(self.asked), 1)
        self.asked[0][1].callback(None)
        self.assertEqual(len(self.asked), 2)
        self.asked[1][1].callback(None)
        self.assertEqual(len(self.asked), 2)

    def test_only_so_many_are_asked_for_at_once(self) -> None:
        for number in range(IN_FLIGHT + 3):
            self.inspector.mark(container_id(number))
        self.assertEqual(len(self.asked), IN_FLIGHT)
        self.asked[0][1].callback(None)
        self.assertEqual(len(self.asked), IN_FLIGHT + 1)

    def test_one_that_waits_for_itself_holds_nobody_up(self) -> None:
        self.inspector.mark(container_id(1))
        self.inspector.mark(container_id(1))
        self.inspector.mark(container_id(2))
        self.assertEqual([own for own, _ in self.asked], [container_id(1), container_id(2)])

    def test_settled_fires_when_all_were_looked_at(self) -> None:
        self.successResultOf(self.inspector.settled())
        self.inspector.mark(container_id(1))
        settled = self.inspector.settled()
        self.assertNoResult(settled)
        self.asked[0][1].callback(None)
        self.successResultOf(settled)

    def test_who_asks_for_a_look_hears_when_it_is_over(self) -> None:
        one, other = self.inspector.look(container_id(1)), self.inspector.look(container_id(2))
        self.asked[0][1].callback(None)
        self.successResultOf(one)
        self.assertNoResult(other)
        self.asked[1][1].errback(DockerError("unix:///x", "500"))
        self.successResultOf(other)

    def test_a_look_that_is_under_way_will_do(self) -> None:
        self.inspector.mark(container_id(1))
        looks = [self.inspector.look(container_id(1)) for _ in range(2)]
        self.asked[0][1].callback(None)
        self.assertEqual(([one.called for one in looks], len(self.asked)), ([True, True], 1))

    def test_who_asks_for_a_look_that_nobody_will_take_waits_no_longer(self) -> None:
        looks = [self.inspector.look(container_id(number)) for number in range(IN_FLIGHT + 2)]
        for number in (0, IN_FLIGHT):
            self.inspector.follow(container_id(number), look=False, final=True)
        self.assertEqual([number for number, one in enumerate(looks) if one.called], [0, IN_FLIGHT])
        self.inspector.clear()
        self.assertTrue(all(one.called for one in looks))

    def test_who_waits_no_longer_is_forgotten(self) -> None:
        given_up = self.inspector.look(container_id(1))
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        self.asked[0][1].callback(None)
        self.assertEqual(self.seen, [container_id(1)])

    def test_what_can_not_be_looked_at_does_not_keep_it_from_settling_and_is_tried_again(self) -> None:
        self.inspector.mark(container_id(1))
        self.asked[0][1].errback(DockerError("unix:///x", "500"))
        self.successResultOf(self.inspector.settled())
        self.assertEqual(self.seen, [])
        self.inspector.retry()
        self.asked[1][1].callback(None)
        self.assertEqual(self.seen, [container_id(1)])
        self.inspector.retry()
        self.assertEqual(len(self.asked), 2)

    def test_that_one_can_not_be_looked_at_is_said_once_until_it_can(self) -> None:
        with capturedLogs() as logs:
            for answer in (
                DockerError("unix:///x", "500"),
                DockerError("unix:///x", "500"),
                None,
                DockerError("x", "5"),
            ):
                self.inspector.mark(container_id(1))
                self.asked[-1][1].callback(answer) if answer is None else self.asked[-1][1].errback(answer)
        self.assertEqual(["can't be looked at" in line["log_format"] for line in logs], [True, True])

    def test_what_is_forgotten_is_neither_asked_for_nor_taken_and_may_be_marked_anew(self) -> None:
        for number in range(IN_FLIGHT + 2):
            self.inspector.mark(container_id(number))
        self.inspector.mark(container_id(0))
        for number in (IN_FLIGHT, 0):
            self.inspector.follow(container_id(number), look=False, final=True)
        self.inspector.mark(container_id(0))
        for _, answer in self.asked:
            if not answer.called:
                answer.callback(None)
        asked = [own for own, _ in self.asked]
        self.assertEqual((asked.count(container_id(0)), asked.count(container_id(IN_FLIGHT))), (2, 0))
        self.assertEqual(self.seen.count(container_id(0)), 1)
        self.assertEqual(len(self.seen), IN_FLIGHT + 1)

    def test_clearing_drops_what_is_asked_for(self) -> None:
        for number in range(IN_FLIGHT + 1):
            self.inspector.mark(container_id(number))
        settled = self.inspector.settled()
        self.inspector.clear()
        self.assertEqual((len(self.asked), self.seen), (IN_FLIGHT, []))
        self.assertNoResult(settled)
        self.successResultOf(self.inspector.settled())

    def test_a_bug_in_one_look_is_logged_and_ends_nothing(self) -> None:
        self.inspector.mark(container_id(1))
        self.inspector.mark(container_id(2))
        self.asked[0][1].callback(container(1, "poison"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.asked[1][1].callback(None)
        self.assertEqual(self.seen, [container_id(2)])

    def test_answers_that_are_there_at_once_do_not_pile_up(self) -> None:
        crowd = sys.getrecursionlimit()
        inspector = Inspector(lambda own: succeed(None), self.observe)
        for number in range(crowd):
            inspector.mark(container_id(number))
        self.assertEqual(len(self.seen), crowd)
