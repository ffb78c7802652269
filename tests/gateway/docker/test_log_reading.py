from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.gateway.docker.model import container_id
from tests.gateway.docker.test_client import Agent, Response
from tutumstream.gateway.docker.log_reading import CONTAINERS_LIMIT, PIECE_LIMIT, LogClient, LogReading, Origin, Pieces
from tutumstream.gateway.docker.transport import Agents
from tutumstream.gateway.platform import ILogReader, ILogs, LogLine

WEB = Origin(container_id(1), "web")
DB = Origin(container_id(2), "db")


def frame(text: str, stream: int = 1, at: str = "2015-06-08T16:02:04.123456789Z") -> bytes:
    data = f"{at} {text}".encode()
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


TASK = "t" * 25
SWARM = Origin("s" * 25, "shop_web", kind="services", names=lambda task: f"shop_web.1.{task}" if task == TASK else "")


def by_task(text: str, task: str = TASK) -> bytes:
    details = (
        f"com.docker.swarm.node.id={'n' * 25},com.docker.swarm.service.id={'s' * 25},com.docker.swarm.task.id={task}"
    )
    return frame(f"{details} {text}")


class TestPieces(SynchronousTestCase):
    def test_a_swarm_says_by_which_task_each_was_written(self) -> None:
        pieces = Pieces(SWARM)
        found = pieces.feed(by_task("a b\n") + by_task("c\n", "u" * 25) + frame("no details\n") + by_task("d\n"))
        self.assertEqual(
            [(line.source, line.text) for line in found],
            [
                (f"shop_web.1.{TASK}", "a b\n"),
                ("shop_web", "c\n"),
                ("shop_web", "no details\n"),
                (f"shop_web.1.{TASK}", "d\n"),
            ],
        )
        faked = Pieces(WEB).feed(by_task("x\n"))
        self.assertEqual(faked[0].source, "web")

    def test_both_streams_and_times_are_told_apart(self) -> None:
        self.assertEqual(
            Pieces(WEB).feed(frame("hello\n") + frame("oops\n", 2)),
            [
                LogLine(text="hello\n", stream="stdout", timestamp=1433779324, source="web"),
                LogLine(text="oops\n", stream="stderr", timestamp=1433779324, source="web"),
            ],
        )

    @given(st.lists(st.integers(1, 40)))
    def test_where_the_network_cuts_means_nothing(self, cuts: list[int]) -> None:
        data, pieces, found = b"".join(frame(f"{n}\n") for n in range(5)), Pieces(WEB), []
        for cut in cuts:
            found += pieces.feed(data[:cut])
            data = data[cut:]
        found += pieces.feed(data)
        self.assertEqual([line.text for line in found], ["0\n", "1\n", "2\n", "3\n", "4\n"])

    def test_a_terminal_has_lines(self) -> None:
        pieces = Pieces(WEB)
        self.assertEqual(pieces.feed(b"2015-06-08T16:02:04Z hel"), [])
        self.assertEqual([line.text for line in pieces.feed(b"lo\r\nno time\nrest")], ["hello\r\n", "no time\n"])
        self.assertEqual([(line.text, line.timestamp) for line in pieces.finish()], [("rest", 0)])

    def test_a_piece_that_is_too_long_is_cut_and_the_next_one_is_whole(self) -> None:
        long = frame("x" * (2 * PIECE_LIMIT))
        pieces, found = Pieces(WEB), []
        for start in range(0, len(long), 100_000):
            found += pieces.feed(long[start : start + 100_000])
        found += pieces.feed(frame("next\n"))
        self.assertEqual([len(line.text) <= PIECE_LIMIT for line in found], [True, True])
        self.assertEqual(found[1].text, "next\n")
        endless = Pieces(WEB)
        self.assertEqual(len(endless.feed(b"2" + b"y" * PIECE_LIMIT)), 1)

    @given(st.binary())
    def test_nothing_that_a_container_writes_raises(self, data: bytes) -> None:
        for begins in (b"", b"2015-06-08T16:02:04Z "):
            pieces = Pieces(WEB)
            pieces.feed(begins + data)
            pieces.finish()


@implementer(ILogReader)
class Reader:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def line(self, line: LogLine) -> None:
        """Keep it."""
        self.texts.append(line.text)

    def ended(self) -> None:
        """Keep that, too."""
        self.texts.append("(end)")


class TestReading(SynchronousTestCase):
    def setUp(self) -> None:
        self.agent, self.reader = Agent(), Reader()
        agents = Agents(None, self.agent, lambda: succeed(None))  # type: ignore[arg-type]  # as much as is used
        self.client = LogClient(agents, Clock(), "unix:///x", lambda: "/v1.41")

    def read(self, *origins: Origin, tail: int = 300, follow: bool = False) -> LogReading:
        return LogReading(self.client, origins, tail, follow, self.reader)

    def answer(self, number: int, code: int = 200, body: bytes | None = None) -> Any:
        response = Response(code, {}, body)
        response.transport.producerState = "producing"
        self.agent.answers[number].callback(response)
        return response

    @staticmethod
    def end(response: Any) -> None:
        response.protocol.connectionLost(Failure(ResponseDone()))

    def test_it_is_a_reading_and_asks_for_the_one_path(self) -> None:
        verifyObject(ILogs, self.read(WEB, tail=5, follow=True))
        method, uri, _ = self.agent.asked[0]
        self.assertEqual(
            (method, uri.decode()),
            (
                b"GET",
                f"http://docker/v1.41/containers/{WEB.id}/logs?stdout=1&stderr=1&timestamps=1&tail=5&follow=1",
            ),
        )

    def test_a_service_and_a_task_of_a_swarm_have_paths_of_their_own(self) -> None:
        self.read(SWARM, Origin("t" * 25, "x", kind="tasks"), Origin(WEB.id, "web", since=7_000_000_012))
        self.assertEqual(
            [uri.decode().removeprefix("http://docker/v1.41/") for _, uri, _ in self.agent.asked],
            [
                f"services/{'s' * 25}/logs?stdout=1&stderr=1&timestamps=1&tail=300&follow=0&details=1",
                f"tasks/{'t' * 25}/logs?stdout=1&stderr=1&timestamps=1&tail=300&follow=0",
                f"containers/{WEB.id}/logs?stdout=1&stderr=1&timestamps=1&tail=all&follow=0&since=7.000000012",
            ],
        )
        self.read(Origin("../../secrets", "x", kind="tasks"))
        self.assertEqual((len(self.agent.asked), self.reader.texts), (3, ["(end)"]))

    def test_what_is_added_is_read_until_there_will_be_no_more(self) -> None:
        reading, over = self.read(WEB, follow=True), []
        reading.stays, reading.over = True, lambda: over.append(True)
        self.end(self.answer(0))
        self.assertEqual(self.reader.texts, [])
        reading.pause()
        reading.add(DB)
        second = self.answer(1)
        self.assertEqual(second.transport.producerState, "paused")
        reading.resume()
        second.protocol.dataReceived(frame("d\n"))
        reading.no_more()
        self.assertEqual((self.reader.texts, over), (["d\n"], []))
        self.end(second)
        self.assertEqual((self.reader.texts, over), (["d\n", "(end)"], [True]))
        reading.add(WEB)
        reading.close()
        self.assertEqual((len(self.agent.asked), over), (2, [True]))

    def test_no_more_where_nothing_is_read_is_the_end(self) -> None:
        reading = self.read(WEB, follow=True)
        reading.stays = True
        self.end(self.answer(0))
        reading.no_more()
        self.assertEqual(self.reader.texts, ["(end)"])

    def test_too_many_at_one_time_are_left_out(self) -> None:
        reading = self.read(WEB, follow=True)
        for _ in range(CONTAINERS_LIMIT + 5):
            reading.add(DB)
        self.assertEqual(len(self.agent.asked), CONTAINERS_LIMIT)

    def test_one_container_is_told_as_it_comes_and_ends(self) -> None:
        self.read(WEB, follow=True)
        response = self.answer(0)
        response.protocol.dataReceived(frame("a\n"))
        self.assertEqual(self.reader.texts, ["a\n"])
        self.end(response)
        self.assertEqual(self.reader.texts, ["a\n", "(end)"])

    def test_the_past_of_several_is_sorted_and_cut_to_the_tail(self) -> None:
        self.read(WEB, DB, tail=3)
        first, second = self.answer(0), self.answer(1)
        for second_of, text in ((1, "w1"), (4, "w4")):
            first.protocol.dataReceived(frame(text, at=f"2015-06-08T16:02:0{second_of}Z"))
        for second_of, text in ((2, "d2"), (3, "d3")):
            second.protocol.dataReceived(frame(text, at=f"2015-06-08T16:02:0{second_of}Z"))
        self.end(first)
        self.assertEqual(self.reader.texts, [])
        self.end(second)
        self.assertEqual(self.reader.texts, ["d2", "d3", "w4", "(end)"])

    def test_a_tail_of_nothing_is_nothing(self) -> None:
        self.read(WEB, DB, tail=0)
        for number in (0, 1):
            self.end(self.answer(number))
        self.assertEqual(self.reader.texts, ["(end)"])

    def test_a_container_that_is_gone_leaves_the_others(self) -> None:
        self.read(WEB, DB)
        self.answer(0, 404, b'{"message":"No such container"}')
        second = self.answer(1)
        second.protocol.dataReceived(frame("d\n"))
        self.end(second)
        self.assertEqual(self.reader.texts, ["d\n", "(end)"])

    def test_who_can_take_no_more_holds_the_engine_up(self) -> None:
        reading = self.read(WEB, follow=True)
        response = self.answer(0)
        reading.pause()
        self.assertEqual(response.transport.producerState, "paused")
        reading.resume()
        self.assertEqual(response.transport.producerState, "producing")

    def test_sorted_lines_wait_for_who_can_take_no_more(self) -> None:
        reading = self.read(WEB, DB)
        reading.pause()
        for number in (0, 1):
            response = self.answer(number)
            response.protocol.dataReceived(frame("x\n"))
            self.end(response)
        self.assertEqual(self.reader.texts, [])
        reading.resume()
        self.assertEqual(self.reader.texts, ["x\n", "x\n", "(end)"])

    def test_closing_lets_go_of_what_is_open_and_what_is_being_opened(self) -> None:
        reading = self.read(WEB, DB, follow=True)
        response = self.answer(0)
        reading.close()
        self.assertTrue(response.transport.disconnecting)
        self.assertEqual(self.agent.cancelled, 1)
        response.protocol.dataReceived(frame("late\n"))
        self.end(response)
        self.assertEqual(self.reader.texts, [])
