from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tutumstream.gateway.docker.specifications import redeployed, scaled, started

REPLICATED = {
    "Version": {"Index": 42},
    "Spec": {"Name": "web", "Mode": {"Replicated": {"Replicas": 2}}, "TaskTemplate": {"ForceUpdate": 3, "x": [1]}},
    "PreviousSpec": {"Mode": {"Replicated": {"Replicas": 5}}},
}
GLOBAL: dict[str, Any] = {"Version": {"Index": 1}, "Spec": {"Mode": {"Global": {}}, "TaskTemplate": {}}}


class TestSpecifications(SynchronousTestCase):
    def test_redeploy_changes_one_number_and_nothing_else(self) -> None:
        spec = redeployed(REPLICATED)
        self.assertEqual(spec["TaskTemplate"], {"ForceUpdate": 4, "x": [1]})
        self.assertEqual(REPLICATED["Spec"]["TaskTemplate"]["ForceUpdate"], 3)  # type: ignore[index]  # of a dict
        self.assertEqual(redeployed(GLOBAL)["TaskTemplate"], {"ForceUpdate": 1})

    def test_a_start_takes_the_number_from_before_the_stop(self) -> None:
        for previous, replicas in ((REPLICATED["PreviousSpec"], 5), (None, 1), ({"Mode": {"Global": {}}}, 1)):
            service = {**REPLICATED, "Spec": {"Mode": {"Replicated": {"Replicas": 0}}}, "PreviousSpec": previous}
            spec = started(service)
            assert spec is not None
            self.assertEqual(spec["Mode"]["Replicated"]["Replicas"], replicas)

    def test_the_same_number_is_no_change(self) -> None:
        self.assertIsNone(scaled(REPLICATED, 2))
        self.assertIsNone(scaled(REPLICATED, None))
        self.assertRaises(ValueError, scaled, GLOBAL, 1)
