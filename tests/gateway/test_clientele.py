from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from tutumstream.docker_details import DockerDetails
from tutumstream.gateway.clientele import Clientele
from tutumstream.gateway.events import Told
from tutumstream.gateway.platform import Change
from tutumstream.gateway.returning import PATIENCE, Returning
from tutumstream.gateway.saving import Row


def told(number: int) -> Told:
    change = Change(
        type="container",
        action="update",
        state="Stopped",
        resource_uri=f"/api/v1/container/{number}/",
        parents=("/api/v1/service/s/",),
        docker=DockerDetails(event="crash", exit_code=3, news=True),
    )
    return Told(change, f"uuid-{number}", 1000.5)


class TestClientele(SynchronousTestCase):
    def setUp(self) -> None:
        self.returning: Returning[Told] = Returning()
        self.listening = ["alice@10.0.0.1", "alice@10.0.0.1"]
        self.now = 0.0
        self.clientele = Clientele(self.returning, lambda: self.listening, lambda: self.now)

    def kept(self) -> dict[Row, bytes]:
        return {row: self.clientele.written(value) for row, value in self.clientele.rows().items()}

    def restarted(self) -> Returning[Told]:
        returning: Returning[Told] = Returning()
        Clientele(returning, list, lambda: 0.0).understand(self.kept())()
        return returning

    def test_who_listened_to_the_last_is_awaited_and_told_what_is_found_out(self) -> None:
        returning = self.restarted()
        self.assertTrue(returning.awaits(1e12))
        returning.miss(told(1))
        returning.opened(0.0)
        self.assertEqual(returning.back("bob@10.0.0.1", 1.0), [])
        self.assertEqual(returning.back("alice@10.0.0.1", 1.0), [told(1)])
        self.assertEqual(returning.back("alice@10.0.0.1", 1.0), [told(1)])
        self.assertEqual(returning.back("alice@10.0.0.1", 1.0), [])

    def test_who_was_away_already_is_told_what_was_missed_before_and_after(self) -> None:
        self.listening = []
        self.returning.sent_away(["bob@10.0.0.2"], 0.0)
        self.returning.miss(told(1))
        self.listening = ["carol@10.0.0.3"]
        returning = self.restarted()
        returning.miss(told(2))
        returning.opened(0.0)
        self.assertEqual(returning.back("bob@10.0.0.2", 1.0), [told(1), told(2)])
        self.assertEqual(returning.back("carol@10.0.0.3", 1.0), [told(2)])

    def test_who_did_not_come_back_in_time_is_not_awaited_after_a_restart_either(self) -> None:
        self.listening = []
        self.returning.sent_away(["bob@10.0.0.2"], 0.0)
        self.returning.miss(told(1))
        self.returning.opened(0.0)
        self.assertNotEqual(self.kept(), {})
        self.now = PATIENCE
        self.assertEqual(self.kept(), {})

    def test_where_nobody_listened_nobody_is_awaited(self) -> None:
        self.listening = []
        self.assertEqual(self.kept(), {})
        self.assertFalse(self.restarted().awaits(0.0))

    def test_what_makes_no_sense_is_refused(self) -> None:
        self.returning.sent_away(["bob"], 0.0)
        self.returning.miss(told(1))
        rows = self.kept()
        refused: list[Mapping[Row, bytes]] = [
            {row: value for row, value in rows.items() if row[0] == "seat"},
            {**rows, ("missed", "7"): rows["missed", "0"]},
            {**rows, ("seat", "x"): rows["seat", "0"]},
            {**rows, ("seat", "0"): b'["bob", "soon"]'},
            {**rows, ("dragon", "0"): b"{}"},
        ]
        for each in refused:
            with self.assertRaises(ValueError):
                self.clientele.understand(each)
