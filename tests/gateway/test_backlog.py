from socket import socketpair
from tempfile import TemporaryFile

from autobahn.websocket.protocol import PreparedMessage
from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IAddress
from twisted.internet.testing import MemoryReactor, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.gateway.backlog import Backlog, Parcel, hand_over, not_yet_taken, send_at_once


def parcel(text: str) -> Parcel:
    """Two bytes larger than the text, on the wire."""
    return Parcel([PreparedMessage(text.encode(), False, False, False)])


class TestBacklog(SynchronousTestCase):
    def setUp(self) -> None:
        self.sent: list[str] = []
        self.pongs: list[bytes] = []
        self.full = 0
        self.room = 100
        self.backlog = Backlog(self.send, self.pongs.append, self.filled, limit=14)

    def send(self, one: Parcel) -> None:
        self.sent += [message.payload.decode() for message in one.messages]
        self.room -= 1
        if self.room == 0:
            self.backlog.pauseProducing()

    def filled(self) -> None:
        self.full += 1

    def put(self, *texts: str) -> None:
        for text in texts:
            self.backlog.put(parcel(text))

    def test_messages_go_at_once_while_there_is_room(self) -> None:
        self.put("a", "b")
        self.assertEqual(self.sent, ["a", "b"])

    def test_messages_wait_while_the_transport_is_full_and_keep_their_order(self) -> None:
        self.backlog.pauseProducing()
        self.put("a", "b")
        self.assertEqual(self.sent, [])
        self.backlog.resumeProducing()
        self.put("c")
        self.assertEqual(self.sent, ["a", "b", "c"])

    def test_they_may_go_another_way_while_there_is_room(self) -> None:
        otherwise: list[Parcel] = []
        first, second = parcel("a"), parcel("b")
        self.backlog.put(first, otherwise.append)
        self.backlog.pauseProducing()
        self.backlog.put(second, otherwise.append)
        self.backlog.resumeProducing()
        self.assertEqual((otherwise, self.sent), ([first], ["b"]))

    def test_it_stops_again_when_the_transport_is_full_again(self) -> None:
        self.backlog.pauseProducing()
        self.put("a", "b", "c")
        self.room = 2
        self.backlog.resumeProducing()
        self.assertEqual(self.sent, ["a", "b"])

    def test_a_client_that_leaves_too_much_waiting_is_given_up_once(self) -> None:
        self.backlog.pauseProducing()
        self.put("12345", "67890")
        self.assertEqual(self.full, 0)
        self.put("x", "y")
        self.assertEqual(self.full, 1)
        self.backlog.resumeProducing()
        self.assertEqual(self.sent, [])

    def test_what_was_sent_no_longer_counts(self) -> None:
        for _ in range(5):
            self.backlog.pauseProducing()
            self.put("12345678")
            self.backlog.resumeProducing()
        self.assertEqual(self.full, 0)

    def test_pings_are_answered_at_once(self) -> None:
        self.backlog.answer(b"1")
        self.assertEqual(self.pongs, [b"1"])

    def test_only_the_newest_ping_is_answered_after_the_transport_was_full(self) -> None:
        self.backlog.pauseProducing()
        self.backlog.answer(b"1")
        self.backlog.answer(b"2")
        self.assertEqual(self.pongs, [])
        self.backlog.resumeProducing()
        self.backlog.resumeProducing()
        self.assertEqual(self.pongs, [b"2"])

    def test_nothing_is_sent_after_the_end(self) -> None:
        self.backlog.pauseProducing()
        self.put("a")
        self.backlog.answer(b"1")
        self.backlog.stopProducing()
        self.backlog.resumeProducing()
        self.put("b")
        self.assertEqual((self.sent, self.pongs), ([], []))


class Descriptor(FileDescriptor):
    """A connection whose kernel takes so many bytes, then none, or is gone."""

    def __init__(self, room: int, gone: bool = False) -> None:
        super().__init__(MemoryReactor())
        self.connected = 1
        self.room = room
        self.gone = gone
        self.taken = b""

    def writeSomeData(self, data: bytes) -> int | BaseException:
        if self.gone:
            return ConnectionLost()
        self.taken += data[: self.room]
        taken, self.room = min(self.room, len(data)), max(self.room - len(data), 0)
        return taken


class HandingOver(SynchronousTestCase):
    def test_what_the_kernel_takes_is_gone_at_once_and_the_rest_is_left_to_the_reactor(self) -> None:
        for room in (5, 3, 0):
            descriptor = Descriptor(room)
            hand_over(descriptor, b"12345")
            self.assertEqual(descriptor.taken, b"12345"[:room])
            self.assertEqual(descriptor in descriptor.reactor.writers, room < 5)
            descriptor.room = 5
            descriptor.doWrite()
            self.assertEqual(descriptor.taken, b"12345")

    def test_nothing_overtakes_what_waits(self) -> None:
        descriptor = Descriptor(0)
        for data in (b"12", b"34"):
            hand_over(descriptor, data)
        descriptor.doWrite()
        descriptor.room = 2
        descriptor.doWrite()
        descriptor.room = 9
        hand_over(descriptor, b"56")
        self.assertEqual(descriptor.taken, b"12")
        descriptor.doWrite()
        self.assertEqual(descriptor.taken, b"123456")

    def test_a_connection_that_is_lost_or_ends_is_left_to_the_reactor(self) -> None:
        lost, ending = Descriptor(5, gone=True), Descriptor(0)
        hand_over(lost, b"12345")
        self.assertIn(lost, lost.reactor.writers)
        ending.write(b"12")
        ending.loseConnection()
        ending.room = 9
        hand_over(ending, b"345")
        self.assertEqual(ending.taken, b"")

    def test_anything_else_than_a_plain_connection_is_written_to(self) -> None:
        transport = StringTransport()
        hand_over(transport, b"12345")
        self.assertEqual(transport.value(), b"12345")


class Wire:
    """A transport's side of it."""

    def __init__(self, peer: IAddress) -> None:
        self.peer = peer
        self.options: list[bool] = []

    def getPeer(self) -> IAddress:
        return self.peer

    def setTcpNoDelay(self, wanted: bool) -> None:
        self.options.append(wanted)


class SendingAtOnce(SynchronousTestCase):
    def test_is_asked_of_tcp_only(self) -> None:
        for peer, options in ((IPv4Address("TCP", "127.0.0.1", 1), [True]), (UNIXAddress("x"), [])):
            wire = Wire(peer)
            send_at_once(wire)
            self.assertEqual(wire.options, options)


class TestNotYetTaken(SynchronousTestCase):
    def test_is_what_the_kernel_keeps_until_the_other_side_reads(self) -> None:
        ours, theirs = socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        ours.send(b"x" * 1000)
        before = not_yet_taken(ours)
        theirs.recv(1000)
        self.assertGreater(before, not_yet_taken(ours))

    def test_is_nothing_where_nobody_can_say(self) -> None:
        self.assertEqual(not_yet_taken(StringTransport()), 0)
        with TemporaryFile() as file:
            self.assertEqual(not_yet_taken(file), 0)
        ours, theirs = socketpair()
        ours.close()
        theirs.close()
        self.assertEqual(not_yet_taken(ours), 0)
