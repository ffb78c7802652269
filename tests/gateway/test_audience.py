from twisted.trial.unittest import SynchronousTestCase

from tutumstream.gateway.audience import Audience


class TestAudience(SynchronousTestCase):
    def setUp(self) -> None:
        self.audience: Audience[str, str] = Audience()

    def join(self, want: str, *clients: str) -> None:
        for client in clients:
            self.audience.join(client, want)

    def test_who_wants_the_same_is_together_in_the_order_of_coming(self) -> None:
        self.join("all", "a")
        self.join("some", "b")
        self.join("all", "c")
        self.assertEqual(self.audience.groups(), [("all", ("a", "c")), ("some", ("b",))])

    def test_it_counts_and_knows_and_names_everybody(self) -> None:
        self.join("all", "a", "c")
        self.join("some", "b")
        self.assertEqual((len(self.audience), list(self.audience)), (3, ["a", "c", "b"]))
        self.assertIn("b", self.audience)
        self.assertNotIn("d", self.audience)

    def test_who_left_is_nowhere_and_nothing_is_kept_of_what_nobody_wants(self) -> None:
        self.join("all", "a", "c")
        self.join("some", "b")
        self.audience.leave("b")
        self.audience.leave("a")
        self.assertEqual(self.audience.groups(), [("all", ("c",))])
        self.assertEqual(list(self.audience), ["c"])

    def test_whoever_leaves_while_others_are_told_disturbs_nobody(self) -> None:
        self.join("all", "a", "b")
        self.join("some", "c")
        told = []
        for _, clients in self.audience.groups():
            for client in clients:
                told.append(client)
                self.audience.leave(client)
        self.assertEqual(told, ["a", "b", "c"])
        self.assertEqual(len(self.audience), 0)
