from pydantic import ValidationError
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.destination_settings import DestinationVariables, misfits


def wrong(**variables: str) -> dict[str, str]:
    """What is said of each variable that is not taken."""
    try:
        DestinationVariables.model_validate(variables)
    except ValidationError as problem:
        return {str(each["loc"][0]): each["msg"] for each in problem.errors()}
    return {}


class Variables(SynchronousTestCase):
    def test_that_are_not_set_are_no_destinations(self) -> None:
        found = DestinationVariables()
        self.assertEqual((found.pagerduty(), found.webhook(), found.elasticsearch()), (None, None, None))

    def test_are_taken_as_they_are(self) -> None:
        variables = {
            "SLACK_URL": "https://hooks.example/T/B/x",
            "PAGERDUTY_KEY": "pd",
            "PAGERDUTY_API": "V2",
            "PAGERDUTY_URL": "https://events.eu.example/v2/enqueue",
            "PAGERDUTY_ON_DELETE": "stack, node,",
            "WEBHOOK_URL": "http://here/",
            "ELASTICSEARCH_URL": "http://es/",
        }
        self.assertEqual(wrong(**variables), {})
        found = DestinationVariables.model_validate(variables)
        pager, store = found.pagerduty(), found.elasticsearch()
        assert pager is not None
        assert store is not None
        self.assertEqual((pager.api, pager.url), ("v2", "https://events.eu.example/v2/enqueue"))
        self.assertEqual(pager.on_delete, ("stack", "node"))
        self.assertEqual((store.index.pattern, store.authorization.get_secret_value()), ("tutum-events", ""))

    def test_that_nobody_can_take_are_told_with_the_reason(self) -> None:
        for name, value, reason in (
            ("SLACK_URL", "hooks.example", "the URL must begin with https:// or http://"),
            ("PAGERDUTY_API", "v3", "Input should be 'v1' or 'v2'"),
            ("PAGERDUTY_URL", "http://", "the URL names no host"),
            ("PAGERDUTY_ON_DELETE", "planet", "planet: there are only action, container, node"),
            ("WEBHOOK_URL", "http://x:y", "the URL has no valid host and port"),
            ("WEBHOOK_SECRET", "whsec_", "nothing follows whsec_ in the secret"),
            ("ELASTICSEARCH_URL", "http://es/?pretty", "the URL is the server's, without ? and #"),
            ("ELASTICSEARCH_API_KEY", "two words", "a key is one word of ASCII characters"),
            ("ELASTICSEARCH_INDEX", "Events", "an index's name is all lower case"),
        ):
            found = wrong(**{name: value})
            self.assertEqual([*found], [name])
            self.assertIn(reason, found[name])

    def test_are_not_shown(self) -> None:
        found = DestinationVariables.model_validate(
            {"ELASTICSEARCH_URL": "http://u:hush@es/", "ELASTICSEARCH_API_KEY": "hush", "WEBHOOK_URL": "http://x/hush"}
        )
        self.assertNotIn("hush", f"{found!r} {found.elasticsearch()!r} {found.webhook()!r}")


class Misfits(SynchronousTestCase):
    def test_are_what_does_nothing_alone(self) -> None:
        for name, other in (
            ("WEBHOOK_SECRET", "WEBHOOK_URL"),
            ("PAGERDUTY_ON_DELETE", "PAGERDUTY_KEY"),
            ("ELASTICSEARCH_API_KEY", "ELASTICSEARCH_URL"),
            ("ELASTICSEARCH_INDEX", "ELASTICSEARCH_URL"),
        ):
            (line,) = misfits({name: "x"})
            self.assertTrue(line.startswith(f"{name}: there is no {other} "), line)
            self.assertEqual(misfits({name: "x", other: "http://es"}), [])

    def test_are_two_ways_to_be_let_in(self) -> None:
        known = {"ELASTICSEARCH_API_KEY": "k", "ELASTICSEARCH_URL": "http://u:hush@es"}
        (line,) = misfits(known)
        self.assertIn("set only one of them", line)
        self.assertNotIn("hush", line)
        self.assertEqual(misfits({**known, "ELASTICSEARCH_URL": "not a URL"}), [])
