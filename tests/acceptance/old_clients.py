"""The clients of 2015 and 2016, in the Python that they were written for."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

TUTUM: Final = ("tutum==0.21.1", "python-tutum==0.21.2")
CLOUD: Final = ("docker-cloud==1.0.9", "python-dockercloud==1.0.12")


class OldClients:
    """Their commands, for one account of one gateway.

    Args:
        folder: where they are installed, see `install`.
    """

    def __init__(self, folder: Path, port: int, user: str, key: str) -> None:
        self._folder = folder
        rest, stream = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("TUTUM", "DOCKERCLOUD"))},
            "HOME": str(folder),
            "TUTUM_REST_HOST": rest,
            "TUTUM_STREAM_HOST": stream,
            "TUTUM_USER": user,
            "TUTUM_APIKEY": key,
            "DOCKERCLOUD_REST_HOST": rest,
            "DOCKERCLOUD_STREAM_HOST": stream,
            "DOCKERCLOUD_USER": user,
            "DOCKERCLOUD_APIKEY": key,
        }

    def tutum(self, *arguments: str) -> str:
        """What Tutum's own command prints; it must succeed."""
        return self._run("cli/bin/tutum", *arguments)

    def cloud(self, *arguments: str) -> str:
        """What Docker Cloud's prints; it must succeed."""
        return self._run("cloud/bin/docker-cloud", *arguments)

    def follow(self, program: str, *arguments: str) -> "subprocess.Popen[str]":
        """A command that goes on: `cli/bin/tutum` or `cloud/bin/docker-cloud`."""
        return subprocess.Popen(
            [self._folder / program, *arguments],
            env={**self.environment, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [self._folder / program, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{program} {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout


def install(folder: Path) -> Path:
    """Put both into virtual environments there, unless they are; skips the test where that can't be."""
    pythons = sorted(Path.home().glob(".pyenv/versions/2.7*/bin/python2.7"))
    if not pythons:
        pytest.skip("no Python 2.7 in ~/.pyenv/versions to run the old clients with")
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        # Tests with an engine and those without one may run at the same time.
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / "done"
        if not done.exists():
            _make(folder, pythons[-1])
            done.touch()
    return folder


def _make(folder: Path, python: Path) -> None:
    boot = folder / "boot"
    steps: list[list[str | Path]] = [
        [sys.executable, "-m", "venv", "--clear", boot],
        [boot / "bin/pip", "install", "-q", "virtualenv==20.15.1"],
    ]
    for name, packages in (("cli", TUTUM), ("cloud", CLOUD)):
        steps += [
            [boot / "bin/python", "-m", "virtualenv", "-q", "--clear", "-p", python, folder / name],
            [folder / name / "bin/pip", "install", "-q", *packages],
        ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            pytest.skip(f"the old clients can't be installed: {done.stderr[-300:]}")
