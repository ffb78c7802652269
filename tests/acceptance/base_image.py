"""A stand-in for the Dockerfile's base image, where no registry can be asked: this machine's Debian, with its Python.

It gets a name of its own, so that nobody takes it for the real one.
"""

import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.acceptance.docker_engine import DockerEngine, EngineUnavailableError, installed

SOURCES = (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt").glob("sources.list.d/*")))


def stand_in(engine: DockerEngine) -> str:
    """The image's name, after making it if it is not there. Raises `EngineUnavailableError` where it can't be made."""
    release, mirror = _debian()
    name = f"tutumstream-tests/python:{release}"
    if not engine.docker("images", "-q", name):
        debootstrap = installed("debootstrap", "debootstrap")
        with tempfile.TemporaryDirectory(prefix="tutumstream-base-") as folder:
            _import(engine, _bootstrap(debootstrap, release, mirror, Path(folder)), name)
    _same_python(engine, name)
    return name


def _debian() -> tuple[str, str]:
    """Release and mirror."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    if release.get("ID") != "debian":
        raise EngineUnavailableError("a stand-in for the base image is made on Debian only")
    text = "\n".join(path.read_text(errors="replace") for path in SOURCES if path.is_file())
    found = re.search(r"^(?:URIs:|deb\s).*?(https?://\S*/debian)/?(?:\s|$)", text, re.MULTILINE)
    if found is None:
        raise EngineUnavailableError("no Debian mirror in /etc/apt, so no stand-in for the base image")
    return release["VERSION_CODENAME"], found[1]


def _bootstrap(debootstrap: str, release: str, mirror: str, root: Path) -> Path:
    done = subprocess.run(
        [debootstrap, "--variant=minbase", "--include=python3-venv,python3-pip", release, root, mirror],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise EngineUnavailableError(f"debootstrap: {lines[-1] if lines else 'failed'}")
    # Where the official image has it.
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    return root


def _import(engine: DockerEngine, root: Path, name: str) -> None:
    with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(
            ["docker", "--host", engine.host, "import", "-", name],
            stdin=tar.stdout,
            capture_output=True,
            timeout=300,
            check=True,
        )


def _same_python(engine: DockerEngine, name: str) -> None:
    """The wheels for it are downloaded by the Python that runs the tests."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    theirs = engine.docker("run", "--rm", "--network", "none", "--entrypoint", "python", name, "-c", program)
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    if theirs != ours:
        raise EngineUnavailableError(f"{name} has Python {theirs}, and the tests run on {ours}")
