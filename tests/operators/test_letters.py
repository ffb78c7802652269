import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tests.operators.dead import a_journal, bury
from tutumstream.event import Event
from tutumstream.operators.letters import STEP, Chosen, Filter, Letter, Listing, Shown, letter
from tutumstream.routing.delivery import Incident


class ALetter(SynchronousTestCase):
    def test_says_in_json_all_that_is_known_and_is_read_back_as_it_was(self) -> None:
        dead = bury(a_journal(), "a", destination="pagerduty", incident=Incident("trigger", "k"))
        told = letter(dead)
        self.assertEqual(
            msgspec.json.decode(msgspec.json.encode(told)),
            {
                "id": "a-1",
                "seq": 1,
                "destination": "pagerduty",
                "route": "containers",
                "why": "event.type == 'container'",
                "incident": {"action": "trigger", "key": "k"},
                "cause": "rejected",
                "reason": "it answered 400",
                "answer": "invalid_payload",
                "attempts": 1,
                "died_at": 2000.0,
                "event": {
                    "id": "a",
                    "received_at": 1000.0,
                    "type": "container",
                    "action": "update",
                    "state": "Running",
                    "resource_uri": "/api/v1/container/a/",
                },
            },
        )
        self.assertEqual(msgspec.json.decode(msgspec.json.encode(told), type=Letter), told)

    def test_of_an_event_that_cannot_be_read_is_told_too(self) -> None:
        class Unreadable(Event, frozen=True):
            pass

        told = letter(bury(a_journal(), "a"))
        told = msgspec.structs.replace(told, event=Unreadable(id="a", received_at=1.0, type="unreadable"))
        encoded = msgspec.json.encode(Shown(letter=told))
        self.assertEqual(msgspec.json.decode(encoded, type=Shown).letter.event.type, "unreadable")


class AFilter(SynchronousTestCase):
    def test_takes_all_by_default(self) -> None:
        self.assertTrue(Filter().takes(bury(a_journal(), "a")))

    def test_takes_what_it_names_only(self) -> None:
        dead = bury(a_journal(), "a", destination="slack", cause="expired")
        for wanted, taken in (
            (Filter(destination="slack"), True),
            (Filter(destination="log"), False),
            (Filter(cause="expired"), True),
            (Filter(cause="bug"), False),
            (Filter(destination="slack", cause="bug"), False),
            (Filter(destination="log", cause="expired"), False),
        ):
            self.assertEqual(wanted.takes(dead), taken, wanted)


class WhatIsAskedFor(SynchronousTestCase):
    def test_must_be_understood_wholly(self) -> None:
        for shape, text, problem in (
            (Chosen, "{}", "either ids or seqs"),
            (Chosen, '{"ids": [], "seqs": []}', "either ids or seqs"),
            (Chosen, '{"ids": ["a-1"], "seqs": [1]}', "either ids or seqs"),
            (Chosen, '{"ids": ["a-1"], "force": true}', "force"),
            (Chosen, '{"ids": "a-1"}', "ids"),
            (Chosen, msgspec.json.encode({"seqs": list(range(STEP + 1))}), "seqs"),
            (Listing, '{"limit": 0}', "limit"),
            (Listing, '{"cause": "boredom"}', "cause"),
            (Filter, '{"limit": 1}', "limit"),
            (Filter, '{"before": 99999999999999999999999}', "before"),
        ):
            with self.assertRaises(msgspec.ValidationError) as caught:
                msgspec.json.decode(text, type=shape)
            self.assertIn(problem, str(caught.exception))
