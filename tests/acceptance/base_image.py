"""A stand-in for the Dockerfile's base image, where no registry can be asked: this machine's Debian, with its Python.

It has the files of the packages that Debian can't be without, and of those that Python and pip need, as they are here.
It gets a name of its own, so that nobody takes it for the real one.
"""

import platform
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.acceptance.docker_engine import DockerEngine, EngineUnavailableError, installed

WANTED: Final = ("apt", "python3-venv", "python3-pip")
"""Besides Debian's essential packages; every image of Debian has apt, and what that needs."""

OWNED_BY_NOBODY: Final = ("etc/passwd", "etc/group", "etc/ld.so.cache", "bin", "lib", "lib64", "sbin")
"""What is made when Debian is installed, the links of its merged /usr among that."""

UNREAD: Final = ("usr/share/doc/", "usr/share/man/", "usr/share/locale/")


def stand_in(engine: DockerEngine) -> str:
    """The image's name, after making it if it is not there. Raises `EngineUnavailableError` where it can't be made."""
    name = f"tutumstream-tests/python:{_release()}"
    if not engine.docker("images", "-q", name):
        for package in WANTED:
            if not _is_here(package):
                installed(package, "python3")
        _import(engine, name)
    _same_python(engine, name)
    return name


def _release() -> str:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    if release.get("ID") != "debian":
        raise EngineUnavailableError("a stand-in for the base image is made on Debian only")
    return release["VERSION_CODENAME"]


def _is_here(package: str) -> bool:
    command = ("dpkg-query", "--show", "--showformat=${db:Status-Status}", package)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout == "installed"


def _packages() -> set[str]:
    """The names of what is wanted and of all that this needs."""
    shown = "${Package}\t${Essential}\t${Provides}\t${Pre-Depends}, ${Depends}\n"
    needs: dict[str, list[str]] = {}
    provided: dict[str, list[str]] = {}
    waiting = list(WANTED)
    for line in _said_by("dpkg-query", "--show", f"--showformat={shown}").splitlines():
        package, essential, provides, depends = line.split("\t")
        needs[package] = _names(depends)
        for virtual in _names(provides):
            provided.setdefault(virtual, []).append(package)
        if essential == "yes":
            waiting.append(package)
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found and name in needs:
            found.add(name)
            waiting += needs[name]
        elif name not in needs:
            waiting += [one for one in provided.get(name, ()) if one not in found]
    if missing := set(WANTED) - found:
        raise EngineUnavailableError(f"Debian's {', '.join(sorted(missing))} can't be had")
    return found


def _names(relations: str) -> list[str]:
    """Of `a (>= 1), b:any | c`: a, b and c."""
    return re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]+)", relations)


def _paths() -> Iterator[Path]:
    """All files of the packages, below the root, folders before what is in them."""
    listed = _said_by("dpkg-query", "--listfiles", *sorted(_packages())).splitlines()
    paths = {_where(Path(line)) for line in listed if line.startswith("/") and line != "/."}
    paths |= {Path(name) for name in OWNED_BY_NOBODY if Path("/", name).exists()}
    # Which of several programs a name means.
    paths |= {path.relative_to("/") for path in Path("/etc/alternatives").iterdir()}
    for path in sorted(paths):
        if not f"{path}/".startswith(UNREAD) and (Path("/", path).is_symlink() or Path("/", path).exists()):
            yield path


def _where(path: Path) -> Path:
    """Below the root, past the links of a merged /usr: that of /bin/sh is usr/bin/sh."""
    return (path.parent.resolve() / path.name).relative_to("/")


def _said_by(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def _import(engine: DockerEngine, name: str) -> None:
    command = ("docker", "--host", engine.host, "import", "-", name)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as importing:
        with tarfile.open(fileobj=importing.stdin, mode="w|") as archive:
            for path in _paths():
                archive.add(Path("/", path), str(path), recursive=False)
            # Where the official image has it.
            python = tarfile.TarInfo("usr/local/bin/python")
            python.type, python.linkname = tarfile.SYMTYPE, "/usr/bin/python3"
            archive.addfile(python)
        assert importing.stdin is not None
        importing.stdin.close()
        assert importing.wait(300) == 0, "the stand-in can't be imported"


def _same_python(engine: DockerEngine, name: str) -> None:
    """The wheels for it are downloaded by the Python that runs the tests."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    theirs = engine.docker("run", "--rm", "--network", "none", "--entrypoint", "python", name, "-c", program)
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    if theirs != ours:
        raise EngineUnavailableError(f"{name} has Python {theirs}, and the tests run on {ours}")
