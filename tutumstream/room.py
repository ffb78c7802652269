"""Whether there is room for another file: where there is none SQLite says only that it can't open its own."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says when there is no room."""


def lack(folder: Path) -> OSError | None:
    """What the system says for want of room when one more file is made there; None where that is not the problem."""
    try:
        TemporaryFile(dir=folder).close()
    except OSError as problem:
        return problem if problem.errno in FULL else None
    return None


def to_free(problem: OSError, folder: Path, look: Callable[[Path], os.statvfs_result] = os.statvfs) -> str:
    """What makes room there, in words; "" where a lack of room is not the problem.

    Args:
        folder: it, or where it was to be.
        look: asks the file system.
    """
    if problem.errno not in FULL:
        return ""
    for each in (folder, *folder.parents):
        try:
            found = look(each)
        except OSError:
            continue
        # Some file systems have no fixed number of inodes, and say 0 of 0.
        if found.f_files and not found.f_favail:
            return "delete some files, as the file system has no inode left"
        break
    return "free some space"
