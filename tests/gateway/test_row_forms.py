"""What a gateway kept is understood by the next, however much newer, and an older one is told that it can't be."""

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import ENDPOINT, Told
from tests.gateway.docker.test_memory import HOST, LATER
from tests.gateway.row_forms import FORMS, TYPES, form, kept
from tutumstream.gateway.clientele import Clientele
from tutumstream.gateway.docker.memory import EngineMemory
from tutumstream.gateway.docker.resources import list_resources
from tutumstream.gateway.events import Told as Missed
from tutumstream.gateway.returning import Returning
from tutumstream.gateway.state_file import OLDEST, VERSION

READABLE = range(OLDEST, VERSION + 1)


class RowFormsTests(SynchronousTestCase):
    def test_a_row_has_another_form_only_in_another_version(self) -> None:
        self.assertEqual(
            msgspec.json.decode(msgspec.json.encode(form())),
            kept(VERSION)["form"],
            "The form of a row changed. Raise VERSION of gateway/state_file.py, add a value for what older rows lack, "
            "and write the new form down: python -m tests.gateway.row_forms",
        )

    def test_there_is_a_sample_of_every_kind_in_every_form_that_can_be_read(self) -> None:
        self.assertEqual({int(path.stem) for path in FORMS.glob("*.json")}, set(READABLE))
        for version in READABLE:
            kinds = {kind for rows in kept(version)["rows"].values() for kind, _, _ in rows}
            self.assertEqual(kinds, set(TYPES), version)

    def test_rows_of_every_such_form_are_understood(self) -> None:
        for version in READABLE:
            told, returning = Told(), Returning[Missed]()
            parts = (
                EngineMemory(ENDPOINT, HOST, told.registry, lambda: LATER),
                Clientele(returning, list, float),
            )
            for part in parts:
                rows = kept(version)["rows"][part.name]
                part.understand({(kind, key): msgspec.json.encode(value) for kind, key, value in rows})()
            states = {str(one["name"]): one["state"] for one in list_resources(told.registry, "container")}
            self.assertEqual(
                states,
                {"web1": "Stopped", "web2": "Stopping", "web3": "Terminated", "shop_web.1." + "k" * 25: "Running"},
            )
            (crashed,) = (known for known in told.registry.containers.values() if known.death is not None)
            self.assertEqual(crashed.death and crashed.death.exit_code, 3)
            self.assertEqual([len(returning.seats), len(returning.missed)], [2, 1])
