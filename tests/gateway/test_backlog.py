from autobahn.websocket.protocol import PreparedMessage
from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IAddress
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.gateway.backlog import Backlog, Parcel, push, send_at_once


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

    def test_it_says_whether_they_went_at_once(self) -> None:
        self.assertTrue(self.backlog.put(parcel("a")))
        self.backlog.pauseProducing()
        self.assertFalse(self.backlog.put(parcel("b")))
        self.backlog.stopProducing()
        self.assertFalse(self.backlog.put(parcel("c")))

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


class Pushing(SynchronousTestCase):
    def pushed(self, descriptor: Descriptor) -> bool:
        """Whether the reactor is still asked to write."""
        descriptor.write(b"12345")
        push(descriptor)
        return descriptor in descriptor.reactor.writers

    def test_what_the_kernel_takes_is_gone_at_once_and_the_rest_is_left_to_the_reactor(self) -> None:
        for room, waits in ((5, False), (3, True), (0, True)):
            descriptor = Descriptor(room)
            self.assertEqual(self.pushed(descriptor), waits)
            self.assertEqual(descriptor.taken, b"12345"[:room])
            descriptor.room = 5
            descriptor.doWrite()
            self.assertEqual(descriptor.taken, b"12345")

    def test_a_connection_that_is_lost_or_ends_is_left_to_the_reactor(self) -> None:
        self.assertTrue(self.pushed(Descriptor(5, gone=True)))
        ending = Descriptor(5)
        ending.loseConnection()
        self.assertTrue(self.pushed(ending))
        self.assertEqual(ending.taken, b"")

    def test_anything_else_than_a_plain_connection_is_left_alone(self) -> None:
        push(object())


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
