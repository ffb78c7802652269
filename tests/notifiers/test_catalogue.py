from twisted.trial.unittest import SynchronousTestCase

from tutumstream.notifiers.catalogue import KINDS
from tutumstream.notifiers.interface import INotifier


class CatalogueTests(SynchronousTestCase):
    def test_every_kind_is_a_notifier_by_the_name_of_the_settings(self) -> None:
        self.assertEqual(set(KINDS), {"slack", "pagerduty", "webhook", "log"})
        for kind in KINDS.values():
            self.assertTrue(INotifier.implementedBy(kind))
