"""The house rules that a machine can check; `docs/ARCHITECTURE.md` tells the reasons."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

CHECKOUT: Final = Path(__file__).parents[1]
PACKAGE: Final = CHECKOUT / "tutumstream"
PLUGIN: Final = CHECKOUT / "twisted" / "plugins" / "tutumstream_plugin.py"

MAY_IMPORT: Final = {
    # The ground: what everybody may stand on.
    "errors": (),
    "backoff": (),
    "outstanding": ("errors",),
    "logs": (),
    "listening": (),
    "variables": (),
    "ids": (),
    "event": ("errors", "ids"),
    "rendering": ("errors", "event"),
    "net": ("errors",),
    # The way of an event, in its order. Each room knows the contract of the next one, never what is behind it.
    "stream": ("backoff", "errors", "event", "ids", "net"),
    "routing": ("errors", "event", "rendering"),
    "journal": ("errors", "event", "routing.delivery"),
    "intake": (
        "delivery.incidents",
        "delivery.state",
        "event",
        "ids",
        "journal.interface",
        "outstanding",
        "routing",
        "status.board",
    ),
    "delivery": (
        "backoff",
        "errors",
        "event",
        "journal.interface",
        "notifiers.interface",
        "outstanding",
        "rendering",
        "routing",
    ),
    "notifiers": ("errors", "event", "net", "routing.delivery"),
    # Beside the way: look-ups, and those who watch.
    "resources": ("errors", "net"),
    "status": ("delivery.state", "stream.connection"),
    # And those who lend a hand: the office in the service, and the command, which asks it or does it itself.
    "operators": ("errors", "event", "journal.interface", "notifiers.interface", "routing.delivery"),
    "cli": ("errors", "event", "gateway.users", "journal", "operators", "settings"),
    # The gateway is a Tutum of its own, on the other side of the wire.
    "gateway": ("errors", "event", "listening", "status.systemd", "twistd"),
    # What both doors want of twistd.
    "twistd": ("errors", "logs"),
    "testing": ("gateway.platform",),
    # What puts it together.
    "destination_settings": (
        "event",
        "net",
        "notifiers.elasticsearch_access",
        "notifiers.elasticsearch_index",
        "notifiers.signature",
    ),
    "settings": (
        "destination_settings",
        "errors",
        "gateway.docker.address",
        "journal.interface",
        "listening",
        "net",
        "stream.credentials",
        "variables",
    ),
    "outlets": ("delivery.manners", "delivery.rate", "net.http", "notifiers", "settings"),
    "source": ("gateway", "settings", "stream.credentials"),
    "service": (
        "delivery",
        "errors",
        "intake",
        "journal.housekeeping",
        "journal.interface",
        "listening",
        "status",
        "stream",
        "twistd",
    ),
    "tap": ("assembly", "errors", "service", "settings", "twistd"),
}
"""What of `tutumstream` each of its modules and packages may import, by dotted prefix.

Two are left out on purpose: `assembly` knows everybody but `tap`, and `__main__` nobody.
"""

DOORS: Final = ["gateway.tap", "tap"]
"""One for each plugin."""

BEHIND_KLEIN: Final = {
    "operators.api",
    "status.pages",
    "source",
    "assembly",
}
"""Klein imports the global reactor, so these are imported only once it has been chosen."""

MEANINGLESS: Final = re.compile(r"manager|processor|helper|utils?$", re.IGNORECASE)
"""Part of the list: the Docker Engine, SQLAlchemy's engine and the tutorial's handlers are the field's words."""


def dotted(path: Path) -> str:
    """`stream.service` for tutumstream/stream/service.py, "" for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES: Final = {
    dotted(path): path for path in sorted(PACKAGE.rglob("*.py")) if "migrations" not in path.relative_to(PACKAGE).parts
}
TESTS: Final = {path.relative_to(CHECKOUT).as_posix(): path for path in sorted((CHECKOUT / "tests").rglob("*.py"))}
UNIT_TESTS: Final = [
    path
    for path in TESTS.values()
    if path.name.startswith("test_") and "pytest.mark.acceptance" not in path.read_text()
]


@cache
def parsed(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of a file."""
    return tuple(ast.walk(ast.parse(path.read_text())))


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or anywhere else, with the names taken from it."""
    for node in parsed(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(path: Path) -> set[str]:
    """What a file imports of tutumstream, without that name."""
    return {name.removeprefix("tutumstream.") for name in imported(path) if name.startswith("tutumstream.")}


def allowed(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def uses(path: Path, *names: str) -> list[str]:
    """Where a file takes one of these names, dotted or not, or imports it."""
    wanted = {tuple(name.split(".")) for name in names}
    found = []
    for node in parsed(path):
        if isinstance(node, ast.Attribute):
            owner = node.value
            before = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            taken = {(before, node.attr), (node.attr,)}
        elif isinstance(node, ast.ImportFrom):
            module = str(node.module).split(".")[-1]
            taken = {pair for alias in node.names for pair in ((module, alias.name), (alias.name,))}
        elif isinstance(node, ast.Import):
            taken = {tuple(alias.name.split(".")[-2:]) for alias in node.names}
        else:
            continue
        if taken & wanted:
            found.append(f"{path.name}:{getattr(node, 'lineno', 0)}")
    return found


@pytest.mark.parametrize("module", [name for name in MODULES if name not in ("", "assembly", "__main__")])
def test_imports_follow_the_flow(module: str) -> None:
    room = module.split(".")[0]
    assert room in MAY_IMPORT, f"{room} is new: give it a line in MAY_IMPORT"
    strangers = {
        name for name in own(MODULES[module]) - {"__version__"} if not allowed(name, (room, *MAY_IMPORT[room]))
    }
    assert strangers == set()


def test_every_room_of_the_table_exists() -> None:
    assert set(MAY_IMPORT) <= {name.split(".")[0] for name in MODULES}


def test_nothing_imports_the_door_and_only_the_door_imports_the_composition_root() -> None:
    knows = {name: {target.split(".")[0] for target in own(path)} for name, path in MODULES.items()}
    assert [name for name, rooms in knows.items() if "tap" in rooms] == []
    assert [name for name, rooms in knows.items() if "assembly" in rooms] == ["tap"]


def test_twistd_imports_nothing_but_a_service_maker_for_the_plugin() -> None:
    assert list(imported(PLUGIN)) == ["twisted.application.service.ServiceMaker"]


def test_only_the_door_names_the_global_reactor() -> None:
    assert [name for name, path in MODULES.items() if "twisted.internet.reactor" in imported(path)] == DOORS


def test_no_import_installs_a_reactor() -> None:
    names = [f"tutumstream.{name}" for name in MODULES if name not in {"", "__main__"} | BEHIND_KLEIN]
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    assert 'twisted.internet.reactor' not in sys.modules, name\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_small_and_says_what_it_is(module: str) -> None:
    text = MODULES[module].read_text()
    assert len(text.splitlines()) <= 350, "the norm is 250 lines"
    assert not text or ast.get_docstring(ast.parse(text)), "it has no docstring"
    for node in parsed(MODULES[module]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 60, f"{node.name}: the norm is 40 lines"


@pytest.mark.parametrize("module", MODULES)
def test_names_say_something(module: str) -> None:
    named = [
        node.name
        for node in parsed(MODULES[module])
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [name for name in (*module.split("."), *named) if MEANINGLESS.search(name)] == []


def test_deferreds_are_awaited_in_coroutines() -> None:
    assert [place for path in MODULES.values() for place in uses(path, "inlineCallbacks", "returnValue")] == []


def test_an_ignored_type_error_is_named() -> None:
    bare = re.compile(r"#\s*type:\s*ignore(?!\[)")
    assert [name for name, path in (MODULES | TESTS).items() if bare.search(path.read_text())] == []


def test_tests_replace_nothing_behind_anyones_back() -> None:
    places = [place for path in TESTS.values() for place in uses(path, "mock.patch", "unittest.mock", "patch.object")]
    assert places == []


def test_no_unit_test_waits_for_real_time() -> None:
    assert [place for path in UNIT_TESTS for place in uses(path, "time.sleep", "asyncio.sleep")] == []
