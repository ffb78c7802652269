"""What an import does to the process: nothing may choose a reactor before twistd has."""

import subprocess
import sys

import pytest

from tests.test_house import BEHIND_KLEIN, MODULES

pytestmark = pytest.mark.acceptance

PROGRAM = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    assert 'twisted.internet.reactor' not in sys.modules, name
"""


def test_no_import_installs_a_reactor() -> None:
    names = [f"tutumstream.{name}" for name in MODULES if name not in {"", "__main__"} | BEHIND_KLEIN]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
