"""A disk that is soon full: a file system of its own, in memory."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mounted on this folder, which is made; `size` is in the words of `mount`: `8m`.

    Skips the test where that can't be done: only the superuser may, and not in every container.
    """
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tutumstream-test", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small file system can't be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all the room there is."""
    rest = folder / "somebody-elses"
    with rest.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(65536)):
                """There was room."""
        except OSError:
            return rest
    raise AssertionError("the disk was never full")
