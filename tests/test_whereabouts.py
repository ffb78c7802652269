import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tutumstream.errors import SettingsError
from tutumstream.whereabouts import state_dir

NOBODYS = 4_000_000_000
"""A user whom no machine has an entry for."""


class TheStateFolder(SynchronousTestCase):
    def test_is_the_chosen_one_else_systemds_first_else_the_users(self) -> None:
        self.patch(os, "environ", {"HOME": "/home/me"})
        for chosen, of_systemd, expected in (
            ("/ours", "/systemd:/other", "/ours"),
            ("", "/systemd:/other", "/systemd"),
            ("", "", "/home/me/.local/state/name"),
        ):
            self.assertEqual(state_dir("name", chosen, of_systemd), Path(expected))

    def test_of_a_user_without_a_home_must_be_named(self) -> None:
        self.patch(os, "environ", {})
        self.patch(os, "getuid", lambda: NOBODYS)
        with self.assertRaises(SettingsError) as caught:
            state_dir("name", "", "")
        self.assertIn("--state-dir: this user has no home", str(caught.exception))
