"""Where a service listens and keeps its state if nobody says more, known to it and to the command that looks for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import platformdirs

from tutumstream.errors import SettingsError

LISTEN: Final = "tcp:8788:interface=127.0.0.1"
"""Endpoint of tutumstream's own pages."""

OfUser = Callable[[str], Path]


def state_dir(name: str, chosen: str, of_systemd: str, of_user: OfUser = platformdirs.user_state_path) -> Path:
    """The folder for what must outlast the process.

    Args:
        name: the plugin's.
        chosen: by its option or its variable, of which no shell may have read the `~`; "" for none.
        of_systemd: its STATE_DIRECTORY, a colon-separated list where a unit has several (systemd.exec); "" for none.
        of_user: what this user has for a program of that name; raises RuntimeError where there is nothing.

    Raises:
        SettingsError: None is chosen, and this user has no home.
    """
    found = chosen or of_systemd.split(":")[0]
    try:
        return Path(found).expanduser() if found else of_user(name)
    except RuntimeError:
        raise SettingsError(["--state-dir: this user has no home to keep the state in; name a folder"]) from None
