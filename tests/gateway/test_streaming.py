import json
import zlib
from base64 import b64encode
from pathlib import Path

import msgspec
from twisted.logger import capturedLogs, formatEvent

from tests.gateway.wire import CLOSE, GOOD, PING, PONG, TEXT, SiteCase, Wire
from tutumstream.docker_details import DockerDetails
from tutumstream.gateway.events import encode
from tutumstream.gateway.failures import FAILURES
from tutumstream.gateway.platform import Change
from tutumstream.gateway.returning import LIMIT
from tutumstream.gateway.streaming import CLOSE_DELAY, MESSAGE_LIMIT, PING_INTERVAL, PING_TIMEOUT
from tutumstream.gateway.upgrade import LONG_CLOSE_DELAY
from tutumstream.testing import ScriptedPlatform

CORPUS = Path(__file__).parent.parent / "corpus" / "tutum" / "events"
CHANGE = Change(
    type="container",
    action="create",
    state="Starting",
    resource_uri="/api/v1/container/c1/",
    parents=("/api/v1/service/s1/", "/api/v1/node/n1/"),
)
STORY = [msgspec.json.decode(line, type=Change) for line in (CORPUS / "stack_redeploy.jsonl").read_text().splitlines()]
FIVE_KEYS = ("action", "parents", "resource_uri", "state", "type")
AUTH = {"type": "auth"}
UNAUTHORIZED = {"type": "error", "data": {"errorMessage": "UNAUTHORIZED"}}


class StreamCase(SiteCase):
    def setUp(self) -> None:
        self.serve(ScriptedPlatform())


class TestCrowds(SiteCase):
    def test_too_many_are_cut_off_and_those_who_are_refused_keep_nobody_out(self) -> None:
        self.serve(ScriptedPlatform(), sessions_limit=2)
        refused = [Wire(self.site) for _ in range(3)]
        for wire in refused:
            wire.upgrade("/v1/events", "Authorization: ApiKey alice:wrong")
        self.assertEqual([wire.transport.connected for wire in refused], [True, True, False])
        with capturedLogs() as logs:
            granted = [Wire(self.site) for _ in range(4)]
            answers = [wire.upgrade("/v1/events", GOOD) for wire in granted]
        self.assertEqual([answer.split()[1] for answer in answers], ["101", "101", "503", "503"])
        self.assertIn("there are 2 stream clients already: come back later", answers[2])
        self.assertIn("Retry-After: 5", answers[2])
        warned = [formatEvent(line) for line in logs if line["log_level"].name == "warn"]
        self.assertEqual(warned, ["There are 2 stream clients: others are refused until some leave"])
        granted[0].transport.loseConnection()
        self.join()

    def test_that_there_is_no_room_and_that_there_is_again_are_told_once_each(self) -> None:
        self.serve(ScriptedPlatform(), sessions_limit=20)
        with capturedLogs() as logs:
            wires = [self.join() for _ in range(20)]
            for _ in range(3):
                self.assertIn(" 503 ", Wire(self.site).upgrade("/v1/events", GOOD))
                wires.pop().transport.loseConnection()
                wires.append(self.join())
            for wire in wires[:3]:
                wire.transport.loseConnection()
        self.assertEqual(
            [formatEvent(line) for line in logs if line["log_format"].startswith("There are")],
            [
                "There are 20 stream clients: others are refused until some leave",
                "There are 18 stream clients: there is room again",
            ],
        )


class TestViolations(StreamCase):
    def test_of_the_protocol_are_told_by_a_close_code_before_the_connection_ends(self) -> None:
        for frame, code in (
            (b"\x81\x01x", 1002),
            (b"\x81\x81\0\0\0\0\xff", 1007),
            (b"\x82\xff" + (MESSAGE_LIMIT + 1).to_bytes(8) + b"\0\0\0\0", 1009),
        ):
            wire = self.join()
            wire.write(frame)
            ((opcode, payload),) = wire.frames()
            self.assertEqual((opcode, int.from_bytes(payload[:2])), (CLOSE, code))
            self.clock.advance(3)
            self.assertFalse(wire.transport.connected)
        self.assertEqual(self.stream.clients, 0)


class TestAdmission(StreamCase):
    def test_auth_comes_first_in_just_these_bytes(self) -> None:
        wire = Wire(self.site)
        self.assertIn("101", wire.upgrade("/v1/events", GOOD).splitlines()[0])
        self.assertEqual(wire.frames(), [(1, b'{"type": "auth"}')])

    def test_small_messages_are_not_held_back_by_the_network(self) -> None:
        self.assertTrue(self.join().transport.no_delay)

    def test_every_form_of_path_and_credentials_is_taken(self) -> None:
        basic = b64encode(b"alice:k3y").decode()
        for path, *headers in (
            ("/v1/events", GOOD),
            ("/v1/events/", f"Authorization: Basic {basic}"),
            ("//v1//events//", f'Authorization: basic "{basic}"'),
            ("/v1/events?user=alice&token=k3y",),
            ("/v1/events/?token=k3y&user=alice",),
            ("/v1/events?auth=ApiKey+alice%3Ak3y",),
            (f"/v1/events?auth=Basic%20{basic}",),
        ):
            wire = Wire(self.site)
            self.assertIn(" 101 ", wire.upgrade(path, *headers), path)
            self.assertEqual(wire.messages(), [{"type": "auth"}], path)

    def test_bad_credentials_get_101_then_the_error_and_are_closed_a_little_later(self) -> None:
        for headers in ([], ["Authorization: ApiKey alice:wrong"], ["Authorization: nonsense"]):
            wire = Wire(self.site)
            self.assertIn(" 101 ", wire.upgrade("/v1/events", *headers))
            self.assertEqual(wire.messages(), [UNAUTHORIZED])
            self.tell(CHANGE)
            self.clock.advance(1.0)
            self.assertEqual(wire.frames(), [])
            self.clock.advance(CLOSE_DELAY - 1.0)
            self.assertEqual([opcode for opcode, _ in wire.frames()], [CLOSE])

    def test_a_refused_client_may_leave_before_it_is_closed(self) -> None:
        wire = Wire(self.site)
        wire.upgrade("/v1/events")
        wire.transport.loseConnection()
        self.clock.advance(CLOSE_DELAY)
        self.assertEqual(self.stream.clients, 0)

    def test_another_sites_page_gets_nothing_with_a_browsers_credentials(self) -> None:
        for origin in ("https://evil.example", "null", "http://stream.tutum.co.evil.example", "http://[", ""):
            wire = Wire(self.site)
            self.assertIn(" 101 ", wire.upgrade("/v1/events", f"Origin: {origin}", GOOD), origin)
            self.assertEqual(wire.messages(), [UNAUTHORIZED], origin)

    def test_who_knows_the_key_itself_may_come_from_any_page(self) -> None:
        wire = Wire(self.site)
        wire.upgrade("/v1/events?user=alice&token=k3y", "Origin: https://dashboard.example")
        self.assertEqual(wire.messages(), [{"type": "auth"}])

    def test_after_too_many_failures_the_close_comes_much_later(self) -> None:
        for _ in range(FAILURES):
            Wire(self.site).upgrade("/v1/events", "Authorization: ApiKey alice:wrong")
        wire = Wire(self.site)
        wire.upgrade("/v1/events", GOOD)
        self.assertEqual(wire.messages(), [UNAUTHORIZED])
        self.clock.advance(LONG_CLOSE_DELAY - 0.1)
        self.assertEqual(wire.frames(), [])
        self.clock.advance(0.1)
        self.assertEqual([opcode for opcode, _ in wire.frames()], [CLOSE])

    def test_another_stream_of_tutums_is_said_not_to_be_there(self) -> None:
        wire = Wire(self.site)
        self.assertIn(" 101 ", wire.upgrade("/v1/container/c1/exec/?command=sh", GOOD))
        self.assertEqual(wire.messages(), [{"type": "error", "data": {"errorMessage": "NOT_FOUND"}}])

    def test_the_paths_of_other_streams_tell_nothing_without_credentials(self) -> None:
        wire = Wire(self.site)
        wire.upgrade("/v1/container/c1/logs/")
        self.assertEqual(wire.messages(), [UNAUTHORIZED])

    def test_old_clients_handshakes_are_tolerated(self) -> None:
        for header in ("User-Agent", "Origin: http://stream.tutum.co:443", "Origin: https://stream.tutum.co"):
            wire = Wire(self.site)
            self.assertIn(" 101 ", wire.upgrade("/v1/events", header, GOOD), header)
            self.assertEqual(wire.messages(), [{"type": "auth"}], header)

    def test_no_subprotocol_and_no_extension_is_chosen_unasked(self) -> None:
        head = Wire(self.site).upgrade("/v1/events", GOOD, "Sec-WebSocket-Protocol: chat").lower()
        self.assertNotIn("sec-websocket-protocol", head)
        self.assertNotIn("sec-websocket-extensions", head)
        self.assertNotIn("server:", head)

    def test_unknown_extensions_are_left_alone(self) -> None:
        head = Wire(self.site).upgrade("/v1/events", GOOD, "Sec-WebSocket-Extensions: x-webkit-frames")
        self.assertNotIn("x-webkit", head)

    def test_compression_is_spoken_when_offered(self) -> None:
        wire = Wire(self.site)
        head = wire.upgrade("/v1/events", GOOD, "Sec-WebSocket-Extensions: permessage-deflate")
        self.assertIn("permessage-deflate", head)
        self.tell(CHANGE)
        inflate = zlib.decompressobj(-15)
        texts = [inflate.decompress(payload + b"\0\0\xff\xff") for _, payload in wire.frames()]
        self.assertEqual(texts, [b'{"type": "auth"}', encode(CHANGE)])


class TestFeed(StreamCase):
    def test_every_change_reaches_every_client_in_order_with_all_five_keys(self) -> None:
        wires = [self.join(), self.join()]
        for change in STORY:
            self.tell(change)
        self.tell(*STORY)
        for wire in wires:
            told = wire.messages()
            self.assertEqual([msgspec.convert(one, Change) for one in told], STORY * 2)
            self.assertEqual({tuple(sorted(one)) for one in told}, {FIVE_KEYS})

    def test_a_late_client_hears_only_what_happens_from_then_on(self) -> None:
        self.tell(CHANGE)
        self.assertEqual(self.join().messages(), [])

    def test_what_happened_in_a_turn_is_one_write_to_each_client(self) -> None:
        wire = self.join()
        writes: list[bytes] = []
        wire.transport.write = writes.append
        self.tell(*STORY)
        self.assertEqual(len(writes), 1)

    def test_who_joins_in_the_middle_of_a_turn_hears_only_the_rest_of_it(self) -> None:
        early = self.join()
        self.stream.tell(CHANGE)
        late = self.join()
        self.assertEqual(len(early.messages()), 1)
        self.tell(CHANGE)
        self.assertEqual((len(early.messages()), len(late.messages())), (1, 1))

    def test_it_is_noted_once_it_was_told(self) -> None:
        wire = self.join()
        told: list[int] = []
        self.stream.noted = lambda: told.append(len(wire.messages()))
        self.tell(CHANGE, CHANGE)
        self.assertEqual(told, [2])

    def test_an_object_without_parents_has_an_empty_list(self) -> None:
        bare = Change(type="stack", action="update", state="", resource_uri="/api/v1/stack/s/")
        self.assertEqual(json.loads(encode(bare))["parents"], [])

    def test_what_docker_knows_comes_behind_the_five_keys(self) -> None:
        told = msgspec.structs.replace(CHANGE, docker=DockerDetails(event="crash", name="web", exit_code=3))
        body = json.loads(encode(told))
        self.assertEqual(list(body), [*json.loads(encode(CHANGE)), "docker"])
        self.assertEqual((body["docker"]["event"], body["docker"]["exit_code"]), ("crash", 3))

    def test_pings_are_answered_at_once_with_the_same_payload(self) -> None:
        wire = self.join()
        wire.send(PING, b"are you there")
        self.assertEqual(wire.frames(), [(PONG, b"are you there")])

    def test_a_silent_client_is_pinged_and_cut_off_when_it_does_not_answer(self) -> None:
        wire = self.join()
        self.clock.pump([1.0] * (PING_INTERVAL + 1))
        ((opcode, payload),) = wire.frames()
        self.assertEqual(opcode, PING)
        wire.send(PONG, payload)
        self.clock.pump([1.0] * (PING_INTERVAL + 1))
        self.assertEqual([opcode for opcode, _ in wire.frames()], [PING])
        self.assertEqual(self.stream.clients, 1)
        self.clock.pump([1.0] * (PING_TIMEOUT + 1))
        self.assertEqual(self.stream.clients, 0)

    def test_what_clients_say_is_ignored(self) -> None:
        wire = self.join()
        wire.send(1, b"hello")
        self.tell(CHANGE)
        self.assertEqual(len(wire.messages()), 1)

    def test_a_client_that_leaves_is_forgotten(self) -> None:
        wire = self.join()
        wire.send(CLOSE, b"\x03\xe8")
        self.assertEqual(wire.frames(), [(CLOSE, b"\x03\xe8")])
        self.assertEqual(self.stream.clients, 0)
        self.tell(CHANGE)
        self.assertEqual(wire.frames(), [])


class TestSlowClients(SiteCase):
    def setUp(self) -> None:
        self.serve(ScriptedPlatform(), backlog_limit=1000)

    def test_a_client_that_reads_too_slowly_is_cut_off_and_nobody_else_notices(self) -> None:
        slow, quick = self.join(), self.join()
        slow.transport.producer.pauseProducing()
        for _ in range(20):
            self.tell(CHANGE)
        self.assertEqual(slow.frames(), [(CLOSE, b"\x03\xf0this client reads too slowly")])
        self.assertEqual(len(quick.messages()), 20)
        self.clock.advance(3)
        self.assertFalse(slow.transport.connected)
        self.assertEqual(self.stream.clients, 1)

    def test_a_client_that_catches_up_misses_nothing(self) -> None:
        wire = self.join()
        wire.transport.producer.pauseProducing()
        self.tell(CHANGE)
        self.assertEqual(wire.messages(), [])
        wire.transport.producer.resumeProducing()
        self.tell(CHANGE)
        self.assertEqual(len(wire.messages()), 2)

    def test_a_client_that_has_not_come_to_our_ping_is_waited_for_as_long_as_it_takes_what_is_before_it(self) -> None:
        wire = self.join()
        producer = wire.transport.producer
        self.clock.pump([1.0] * (PING_INTERVAL + 1))
        for _ in range(3):
            producer.pauseProducing()
            producer.resumeProducing()
            self.clock.pump([1.0] * PING_TIMEOUT)
            self.assertEqual(self.stream.clients, 1)
        self.clock.pump([1.0] * PING_TIMEOUT)
        self.assertEqual(self.stream.clients, 0)

    def test_an_answer_ends_the_waiting(self) -> None:
        wire = self.join()
        self.clock.pump([1.0] * (PING_INTERVAL + 1))
        wire.transport.producer.resumeProducing()
        self.clock.pump([1.0] * PING_TIMEOUT)
        ((_, payload),) = wire.frames()
        wire.send(PONG, payload)
        self.clock.pump([1.0] * (PING_TIMEOUT + 2))
        self.assertEqual(self.stream.clients, 1)

    def test_one_that_leaves_meanwhile_is_not_waited_for(self) -> None:
        wire = self.join()
        self.clock.pump([1.0] * (PING_INTERVAL + 1))
        wire.transport.producer.resumeProducing()
        self.clock.pump([1.0] * PING_TIMEOUT)
        wire.transport.loseConnection()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class TestEnd(StreamCase):
    def test_an_interruption_closes_every_client_once_and_nothing_follows_the_close(self) -> None:
        wires = [self.join(), self.join()]
        self.stream.interrupt("gone for a moment")
        self.tell(CHANGE)
        for wire in wires:
            self.assertEqual(wire.frames(), [(CLOSE, b"\x03\xe9gone for a moment")])
            wire.send(CLOSE, b"\x03\xe9")
        self.assertEqual(self.stream.clients, 0)

    def test_what_happened_before_the_close_is_told_before_it(self) -> None:
        for away in (lambda: self.stream.interrupt("gone for a moment"), self.stream.end):
            wire = self.join()
            self.stream.tell(CHANGE)
            away()
            self.assertEqual([opcode for opcode, _ in wire.frames()], [TEXT, CLOSE])
            wire.send(CLOSE, b"\x03\xe9")

    def test_who_comes_back_after_an_interruption_is_told_what_it_missed_once(self) -> None:
        self.join()
        self.stream.interrupt("gone for a moment")
        self.tell(CHANGE)
        other = Wire(self.site, "192.0.2.2")
        other.upgrade("/v1/events", GOOD)
        self.assertEqual(other.messages(), [AUTH])
        for missed in ([json.loads(encode(CHANGE))], []):
            wire = Wire(self.site)
            wire.upgrade("/v1/events", GOOD)
            self.assertEqual(wire.messages(), [AUTH, *missed])

    def test_who_comes_back_twice_leaves_another_of_the_same_user_its_part(self) -> None:
        def comes_back() -> Wire:
            wire = Wire(self.site)
            wire.upgrade("/v1/events", GOOD)
            self.assertEqual(wire.messages(), [AUTH, *[json.loads(encode(CHANGE))] * missed])
            return wire

        missed = 1
        self.join()
        self.join()
        self.stream.interrupt("gone for a moment")
        self.tell(CHANGE)
        fast = comes_back()
        fast.send(CLOSE, b"\x03\xe8")
        comes_back()
        self.stream.interrupt("gone again")
        self.tell(CHANGE)
        missed = 2
        comes_back()
        comes_back()
        missed = 0
        comes_back()

    def test_too_much_to_keep_is_not_kept(self) -> None:
        self.join()
        self.stream.interrupt("gone for a moment")
        self.tell(*[CHANGE] * (LIMIT + 1))
        self.join()

    def test_a_closed_stream_sends_all_away_and_lets_none_in_until_it_is_opened(self) -> None:
        gone = self.join()
        self.stream.close("the engine is lost: " + "é" * 200)
        self.stream.close("the engine is still lost")
        ((opcode, payload),) = gone.frames()
        self.assertEqual((opcode, payload[:22]), (CLOSE, b"\x03\xe9the engine is lost: "))
        self.assertLessEqual(len(payload), 125)
        refused = Wire(self.site).upgrade("/v1/events", GOOD)
        self.assertEqual(refused.splitlines()[0], "HTTP/1.1 503 the engine is still lost")
        self.assertIn("Retry-After: 5", refused)
        self.tell(CHANGE)
        self.stream.open()
        wire = Wire(self.site)
        wire.upgrade("/v1/events", GOOD)
        self.assertEqual(wire.messages(), [AUTH, json.loads(encode(CHANGE))])
        self.stream.open()
        self.assertEqual(wire.frames(), [])

    def test_a_closed_stream_tells_strangers_only_that_they_are(self) -> None:
        self.stream.close("the engine is lost")
        wire = Wire(self.site)
        self.assertIn(" 101 ", wire.upgrade("/v1/events"))
        self.assertEqual(wire.messages(), [UNAUTHORIZED])

    def test_at_the_end_all_are_told_1001_and_it_waits_for_their_answers(self) -> None:
        wire, refused = self.join(), Wire(self.site)
        refused.upgrade("/v1/events")
        refused.frames()
        ended = self.stream.end()
        for one in (wire, refused):
            ((opcode, payload),) = one.frames()
            self.assertEqual((opcode, payload[:2]), (CLOSE, b"\x03\xe9"))
            self.assertNoResult(ended)
            one.send(CLOSE, b"\x03\xe9")
        self.successResultOf(ended)

    def test_who_does_not_answer_does_not_hold_up_the_end(self) -> None:
        self.join()
        ended = self.stream.end()
        self.clock.pump([0.5] * 6)
        self.successResultOf(ended)

    def test_who_comes_after_the_end_began_is_closed_too(self) -> None:
        self.successResultOf(self.stream.end())
        wire = Wire(self.site)
        wire.upgrade("/v1/events", GOOD)
        self.assertEqual([opcode for opcode, _ in wire.frames()], [1, CLOSE])
