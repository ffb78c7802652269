"""The image as it is built for tests. Its build asks no index: pip, as it is set up here, gets the wheels before."""

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

from tests.acceptance.base_image import stand_in
from tests.acceptance.docker_engine import DockerEngine, EngineUnavailableError

CHECKOUT = Path(__file__).parents[2]
CONTEXT = (
    "Dockerfile",
    ".dockerignore",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "setup.py",
    "tutumstream",
    "twisted",
)


def built(engine: DockerEngine, folder: Path) -> str:
    """The name of a new image. Raises `EngineUnavailableError` where what it is made of can't be had.

    Args:
        folder: an empty one.
    """
    base = stand_in(engine)
    _collect(folder)
    name = f"tutumstream-tests/image:{uuid.uuid4().hex[:12]}"
    settings = {"BASE": base, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/src/wheels"}
    arguments = [part for key, value in settings.items() for part in ("--build-arg", f"{key}={value}")]
    build = ("build", "--force-rm", "--network", "none", "--tag", name, *arguments, str(folder))
    done = subprocess.run(
        ["docker", "--host", engine.host, *build],
        # Debian's client has the classic builder only.
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return name


def _collect(folder: Path) -> None:
    """What `docker build` gets: the checkout, and all wheels in `wheels/`."""
    for name in CONTEXT:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            shutil.copy(source, folder / name)
    # Wheels, not what they are made of: a Python of the base image need not be able to build any but ours.
    pip = [sys.executable, "-m", "pip"]
    # Of the versions that the tests run with, which pip finds without a search, too.
    here = subprocess.run([*pip, "freeze", "--exclude-editable"], capture_output=True, text=True, check=True).stdout
    (folder / "versions").write_text(here)
    wheel = (*pip, "wheel", "--quiet", "--wheel-dir", "wheels", "--constraint", "versions", "setuptools>=77", ".")
    done = subprocess.run(wheel, capture_output=True, text=True, timeout=600, check=False, cwd=folder)
    if done.returncode:
        raise EngineUnavailableError(f"pip can't get the wheels: {done.stderr.strip().splitlines()[-1]}")
    for ours in (folder / "wheels").glob("tutumstream-*"):
        ours.unlink()
