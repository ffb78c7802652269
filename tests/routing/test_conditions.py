from twisted.trial.unittest import SynchronousTestCase

from tutumstream.errors import ConditionError
from tutumstream.event import Event
from tutumstream.routing.conditions import Conditions

VIEW = Event(id="e1", received_at=1.0, type="node", action="update", state="Unreachable").view()


class ConditionsOverAnEvent(SynchronousTestCase):
    def test_are_answered_in_order(self) -> None:
        conditions = Conditions(['event.type == "node"', 'event.state in ["Deployed"]', 'event.parent.stack == ""'])
        self.assertEqual(conditions.hold(VIEW), [True, False, True])

    def test_may_be_none_at_all(self) -> None:
        self.assertEqual(Conditions([]).hold(VIEW), [])

    def test_may_end_in_a_comment(self) -> None:
        self.assertEqual(Conditions(["true // always", "false"]).hold(VIEW), [True, False])

    def test_that_fail_on_an_event_say_why_and_leave_the_others_their_answers(self) -> None:
        answers = Conditions(["true", "event.colour == 1", "false", "int(event.state) > 1"]).hold(VIEW)
        self.assertEqual([answers[0], answers[2]], [True, False])
        self.assertIn("colour", str(answers[1]))
        self.assertNotIn("NOT_FOUND", str(answers[1]), "that is for programs")
        self.assertIsInstance(answers[3], str)

    def test_that_give_something_else_than_true_or_false_say_so(self) -> None:
        self.assertEqual(Conditions(["true", "event.state"]).hold(VIEW), [True, "gives string, not true or false"])

    def test_with_a_syntax_error_are_refused_with_a_caret_under_the_place(self) -> None:
        with self.assertRaises(ConditionError) as caught:
            Conditions(["true", 'event.type = "node"'])
        self.assertEqual(caught.exception.source, 'event.type = "node"')
        self.assertIn("Syntax error", str(caught.exception))
        self.assertTrue(str(caught.exception).endswith("....^"), "the code behind it is for programs")

    def test_that_can_never_be_true_or_false_are_refused(self) -> None:
        with self.assertRaises(ConditionError) as caught:
            Conditions(["1 + 1"])
        self.assertIn("gives int, not true or false", str(caught.exception))

    def test_with_a_name_that_does_not_exist_are_refused(self) -> None:
        with self.assertRaises(ConditionError) as caught:
            Conditions(['evnet.type == "node"'])
        self.assertIn("evnet", str(caught.exception))

    def test_that_would_take_for_ever_are_ended_and_are_no_match(self) -> None:
        nested = "[1,2,3,4,5,6,7,8,9,10]"
        endless = f"{nested}.all(a, " * 9 + "true" + ")" * 9
        answers = Conditions([endless, "true"]).hold(VIEW)
        self.assertIsInstance(answers[0], str)
        self.assertIs(answers[1], True)


class TheFieldsOfConditions(SynchronousTestCase):
    def test_are_found_wherever_they_are_named(self) -> None:
        for source, fields in (
            ('event.type == "node"', {"type"}),
            ('event . state in ["a"] || event.parent.stack != ""', {"state", "parent.stack"}),
            ('event.type == "event" && "event.uuid" != \'it\\\'s event\'', {"type"}),
            ("event.parents.size() > 1", {"parents"}),
            ("event.type == 'a' // it's\n || event.uuid == 'b'", {"type", "uuid"}),
            ('event.type == "//" || event . // its "state"\n uuid == "b"', {"type", "uuid"}),
            (r'''event.type == """\"""" || event.uuid == "b"''', {"type", "uuid"}),
            (r"""event.type == '''\'''' || event.uuid == 'b'""", {"type", "uuid"}),
            ('{"a//b": 1}.`a//b` == 1 && event.uuid == "b"', {"uuid"}),
            ("true", set()),
        ):
            with self.subTest(source):
                self.assertEqual(Conditions([source]).fields, frozenset(fields))

    def test_are_unknown_where_the_event_goes_its_own_way(self) -> None:
        for source in (
            'event.type == r"node"',
            'event["type"] == "node"',
            "has(event.type) && size(event) > 1",
            'event.parent["stack"] == ""',
            "event.parent.size() > 1",
            'event.docker["news"]',
        ):
            with self.subTest(source):
                self.assertIsNone(Conditions(["true", source]).fields)
