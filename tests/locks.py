"""Which locks this process holds, as the kernel knows them."""

import os
from pathlib import Path

LOCKS = Path("/proc/locks")
"""A line for each: `3: POSIX  ADVISORY  READ 4711 fe:00:2467068 1073741826 1073742335`."""


def are_shown() -> bool:
    """Whether this system tells."""
    return LOCKS.is_file()


def is_held(path: Path) -> bool:
    """Whether this process holds a lock of the kind that SQLite takes, on this file."""
    lines = [line.split() for line in LOCKS.read_text().splitlines()]
    return any(
        line[1] == "POSIX" and line[4] == str(os.getpid()) and line[5].rpartition(":")[2] == str(path.stat().st_ino)
        for line in lines
        if "->" not in line
    )
