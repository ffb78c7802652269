from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import container_id
from tests.gateway.docker.test_registry import task
from tutumstream.gateway.docker.identity import derived, place_of
from tutumstream.gateway.docker.known import Known
from tutumstream.gateway.docker.mishaps import FRESH, Crash, Record
from tutumstream.gateway.docker.slots import Slots


def known(number: int, record: Record = FRESH) -> Known:
    one = task(number, None)
    return Known(
        uuid=derived("container", one.id),
        container=one,
        place=place_of(one, "test", "cluster"),
        state="Running",
        record=record,
    )


class ASlot(SynchronousTestCase):
    def setUp(self) -> None:
        self.containers: dict[str, Known] = {}
        self.slots = Slots(self.containers)

    def fill(self, number: int, record: Record = FRESH) -> Known:
        one = self.slots.fill(known(number, record))
        self.containers[one.container.id] = one
        return one

    def recall(self, number: int) -> Known:
        one = self.containers[container_id(number)] = known(number)
        self.slots.recall(one)
        return one

    def test_passes_the_troubles_on_and_leaves_what_the_end_that_is_still_to_be_told_will_want_to_say(self) -> None:
        troubles = Record(unwell=3, looping=True, ill=True, health="unhealthy", oom=7, oom_due=9.0, due=9.0, since=5)
        self.fill(1, troubles)
        self.assertEqual(self.fill(2).record, Record(unwell=3, looping=True, ill=True, again=True))
        self.assertEqual(self.containers[container_id(1)].record, Record(health="unhealthy", oom=7))

    def test_passes_on_that_its_illness_was_told_but_nothing_of_one_that_is_well_again(self) -> None:
        for record, passed_on in (
            (Record(ill=True, health="unhealthy"), Record(ill=True, again=True)),
            (Record(crashes=(Crash(1, 2.0),)), FRESH),
        ):
            self.setUp()
            self.fill(1, record)
            self.assertEqual(self.fill(2).record, passed_on)

    def test_passes_nothing_on_to_one_that_was_there_before(self) -> None:
        self.fill(2, Record(unwell=1))
        self.assertEqual(self.fill(1).record, FRESH)
        self.assertEqual(self.slots.heir(self.containers[container_id(1)]), self.containers[container_id(2)])

    def test_begins_well_with_one_that_was_told_as_gone_and_is_there_again(self) -> None:
        self.fill(1, Record(unwell=3, looping=True))
        self.assertEqual(self.fill(1).record, FRESH)

    def test_is_the_newest_one_s_after_a_restart_in_whatever_order_they_are_recalled(self) -> None:
        for order in ((1, 2, 3), (3, 1, 2)):
            self.setUp()
            recalled = {number: self.recall(number) for number in order}
            self.assertEqual(
                [self.slots.heir(recalled[number]) for number in (1, 2, 3)], [recalled[3], recalled[3], None]
            )

    def test_has_no_heir_once_that_is_forgotten(self) -> None:
        first, second = self.fill(1), self.fill(2)
        del self.containers[container_id(2)]
        self.slots.forget(second)
        self.assertIsNone(self.slots.heir(first))
