"""Wheel, sdist and editable install, each in a virtual environment of its own and run from somewhere else."""

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.acceptance

CHECKOUT = Path(__file__).parents[2]
SOURCES = ("LICENSE", "README.md", "pyproject.toml", "setup.py", "tutumstream", "twisted", "tests")
LITTER = shutil.ignore_patterns("__pycache__", "dropin.cache", "*.egg-info")


def run(command: Sequence[str | Path], cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout without what earlier builds left in it."""
    copy = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, copy / name, ignore=LITTER)
        else:
            shutil.copy(CHECKOUT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def built(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and with the wheel that was made of it."""
    out = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, sources], cwd=out)
    return out


def one(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


class Environment:
    """A fresh virtual environment that borrows our dependencies, but not us: they are on its path, and no more."""

    def __init__(self, home: Path) -> None:
        self._home = home
        venv.create(home, with_pip=False)
        self.python = home / "bin" / "python"
        site = run([self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], home).strip()
        paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        Path(site, "dependencies.pth").write_text("\n".join(paths))

    def install(self, *what: str | Path) -> None:
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            self.python,
            "install",
            "--no-deps",
            "--no-build-isolation",
        ]
        run([*command, *what], self._home)

    def check(self, cwd: Path, installed_below: Path) -> None:
        """twistd knows the plugin, and it is the one that was just installed."""
        where = "import tutumstream.tap; print(tutumstream.tap.__file__)"
        assert run([self.python, "-c", where], cwd).startswith(str(installed_below))
        program = "from twisted.scripts.twistd import run; run()"
        assert "Listens to a container platform's event stream" in run([self.python, "-c", program, "--help"], cwd)
        version = run([self.python, "-m", "tutumstream", "--version"], cwd)
        assert version == run([self.python, "-c", program, "tutumstream", "--version"], cwd)
        assert version.startswith("tutumstream ")


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """One for each test."""
    return Environment(tmp_path / "env")


def test_a_wheel_gives_twistd_the_plugin(built: Path, environment: Environment, tmp_path: Path) -> None:
    environment.install(one(built, "*.whl"))
    environment.check(tmp_path, installed_below=tmp_path / "env")


def test_an_sdist_gives_twistd_the_plugin(built: Path, environment: Environment, tmp_path: Path) -> None:
    environment.install(one(built, "*.tar.gz"))
    environment.check(tmp_path, installed_below=tmp_path / "env")


def test_an_editable_install_gives_twistd_the_plugin(sources: Path, environment: Environment, tmp_path: Path) -> None:
    environment.install("--editable", sources)
    environment.check(tmp_path, installed_below=sources)


def test_the_wheel_holds_all_of_the_package_and_nothing_else(built: Path, sources: Path) -> None:
    with ZipFile(one(built, "*.whl")) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    package = {
        path.relative_to(sources).as_posix()
        for path in (sources / "tutumstream").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == package | {"twisted/plugins/tutumstream_plugin.py"}
    assert "tutumstream/py.typed" in held
    assert [name for name in held if name.startswith("tutumstream/journal/migrations/versions/")]


def test_the_license_goes_with_both(built: Path) -> None:
    with ZipFile(one(built, "*.whl")) as wheel:
        assert [name for name in wheel.namelist() if name.endswith("licenses/LICENSE")]
    with tarfile.open(one(built, "*.tar.gz")) as sdist:
        assert [name for name in sdist.getnames() if name.endswith("/LICENSE")]
