from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tutumstream.errors import SettingsError
from tutumstream.whereabouts import state_dir


def at_home(name: str) -> Path:
    return Path("/home/me", name)


def homeless(name: str) -> Path:
    raise RuntimeError(f"no home for {name}")


class TheStateFolder(SynchronousTestCase):
    def test_is_the_chosen_one_else_systemds_first_else_the_users(self) -> None:
        for chosen, of_systemd, expected in (
            ("/ours", "/systemd:/other", "/ours"),
            ("", "/systemd:/other", "/systemd"),
            ("", "", "/home/me/name"),
            ("~/ours", "", str(Path.home() / "ours")),
        ):
            self.assertEqual(state_dir("name", chosen, of_systemd, at_home), Path(expected))

    def test_of_a_user_without_a_home_must_be_named(self) -> None:
        for chosen in ("", "~nobody-of-that-name/ours"):
            with self.assertRaises(SettingsError) as caught:
                state_dir("name", chosen, "", homeless)
            self.assertIn("--state-dir: this user has no home", str(caught.exception))
