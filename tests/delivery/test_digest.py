from msgspec import structs
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.delivery.digest import digest
from tutumstream.docker_details import DockerDetails
from tutumstream.event import Event


def event(kind: str, action: str, at: float) -> Event:
    return Event(id="e", received_at=at, type=kind, action=action, state="S", resource_uri=f"/api/v1/{kind}/x/")


class ADigest(SynchronousTestCase):
    def test_counts_actions_and_names_the_oldest_and_the_newest(self) -> None:
        events = [event("container", "create", n) for n in range(20)]
        events += [event("container", "update", 20 + n * 41 / 17) for n in range(17)]
        self.assertEqual(
            digest(events),
            "37 container events in 59 s: 20 created, 17 updated\n"
            "Oldest 00:00:00 UTC: container /api/v1/container/x/ S\n"
            "Newest 00:00:58 UTC: container /api/v1/container/x/ S",
        )

    def test_tells_types_apart(self) -> None:
        events = [event("container", "create", 0.0), event("service", "update", 1.0), event("service", "update", 2.0)]
        self.assertEqual(
            digest(events).splitlines()[0],
            "3 events in 2 s: 2 service events (2 updated), 1 container event (1 created)",
        )

    def test_says_what_happened_where_docker_knows(self) -> None:
        crash = DockerDetails(event="crash", name="web-2", stack="shop", exit_code=3)
        known, unknown = structs.replace(event("container", "update", 1.0), docker=crash), event("node", "update", 2.0)
        dumb = structs.replace(event("service", "update", 0.0), docker=DockerDetails(error="x"))
        self.assertIn("Oldest 00:00:01 UTC: web-2 of shop crashed: exit 3\n", digest([known, unknown]))
        self.assertIn("Oldest 00:00:00 UTC: service /api/v1/service/x/ S\n", digest([dumb, known]))

    def test_of_one_moment_is_of_one_second(self) -> None:
        self.assertIn("1 node event in 1 s", digest([event("node", "delete", 5.0)]))
