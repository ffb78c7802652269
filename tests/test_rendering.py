from twisted.trial.unittest import SynchronousTestCase

from tutumstream.errors import TemplateError
from tutumstream.event import Event
from tutumstream.rendering import Templates

VIEW = Event(
    id="e1", received_at=1.0, type="service", action="update", state="<Running>", parents=("/api/v1/stack/s/",)
).view()


class ATemplate(SynchronousTestCase):
    def test_prints_the_event_and_its_parents(self) -> None:
        template = Templates().compile("r", "{{ event.type }} {{ event.action }}d in {{ event.parent.stack }}")
        self.assertEqual(template.render(VIEW, {}), "service updated in /api/v1/stack/s/")

    def test_says_which_resources_it_needs(self) -> None:
        template = Templates().compile("r", "{{ stack.name }} {{ node.nickname }} {{ event.type }}")
        self.assertEqual(template.needs, frozenset({"stack", "node"}))

    def test_prints_what_could_not_be_looked_up_as_unknown(self) -> None:
        template = Templates().compile("r", "{{ stack.name }} is {{ stack.state }}")
        self.assertEqual(template.render(VIEW, {"stack": {"name": "shop"}}), "shop is (unknown)")
        self.assertEqual(template.render(VIEW, {"stack": {"name": None, "state": "Running"}}), "(unknown) is Running")
        self.assertEqual(template.render(VIEW, {"stack": None}), "(unknown) is (unknown)")
        self.assertEqual(template.render(VIEW, {}), "(unknown) is (unknown)")

    def test_escapes_values_and_leaves_its_own_words_alone(self) -> None:
        templates = Templates(lambda text: text.replace("<", "&lt;").replace(">", "&gt;"))
        self.assertEqual(templates.compile("r", "<b> {{ event.state }}").render(VIEW, {}), "<b> &lt;Running&gt;")

    def test_with_a_syntax_error_names_the_route_and_the_line(self) -> None:
        with self.assertRaises(TemplateError) as caught:
            Templates().compile("containers", "one\n{{ event.type }")
        self.assertIn("text of route 'containers': line 2", str(caught.exception))

    def test_with_an_unknown_name_says_which_names_there_are(self) -> None:
        with self.assertRaises(TemplateError) as caught:
            Templates().compile("containers", "{{ evnet.type }} {{ stack.name }}")
        self.assertIn("evnet is not known here; there are event, node, nodecluster, resource", str(caught.exception))

    def test_with_an_unknown_field_of_the_event_fails_when_it_is_compiled(self) -> None:
        with self.assertRaises(TemplateError) as caught:
            Templates().compile("containers", "{{ event.colour }}")
        self.assertIn("colour", str(caught.exception))

    def test_of_an_incident_key_may_not_name_resources(self) -> None:
        with self.assertRaises(TemplateError):
            Templates().compile("key", "{{ stack.name }}", resources=False)

    def test_can_reach_nothing_of_python(self) -> None:
        for source in ("{{ event.__class__ }}", "{{ ''.__class__.__mro__ }}", "{{ event.update({'type': 1}) }}"):
            with self.subTest(source), self.assertRaises(TemplateError):
                Templates().compile("r", source)
