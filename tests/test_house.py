"""The house rules that a machine can check; `docs/ARCHITECTURE.md` tells the reasons."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).parents[1]
PACKAGE: Final = CHECKOUT / "tutumstream"
PLUGIN: Final = CHECKOUT / "twisted" / "plugins" / "tutumstream_plugin.py"

MAY_IMPORT: Final = {
    # The ground: what everybody may stand on.
    "errors": (),
    "backoff": (),
    "outstanding": ("errors",),
    "logs": (),
    "outputs": (),
    "channel": (),
    "listening": ("whereabouts",),
    "whereabouts": ("errors",),
    "variables": (),
    "ids": (),
    "place": (),
    "room": (),
    "trouble": ("room",),
    "reach": (),
    "docker_details": (),
    "event": ("docker_details", "errors", "ids"),
    "rendering": ("errors", "event"),
    "net": ("errors", "reach"),
    # The way of an event, in its order. Each room knows the contract of the next one, never what is behind it.
    "stream": ("backoff", "errors", "event", "ids", "net"),
    "routing": ("docker_details", "errors", "event", "rendering"),
    "journal": ("docker_details", "errors", "event", "place", "room", "routing.delivery", "trouble"),
    "intake": (
        "delivery.incidents",
        "delivery.state",
        "event",
        "ids",
        "journal.interface",
        "journal.objects",
        "outstanding",
        "routing",
        "status.board",
    ),
    "resync": (
        "docker_details",
        "errors",
        "event",
        "ids",
        "journal.interface",
        "journal.objects",
        "outstanding",
        "resources.inventory",
    ),
    "delivery": (
        "backoff",
        "docker_details",
        "errors",
        "event",
        "ids",
        "journal.interface",
        "notifiers.interface",
        "outstanding",
        "rendering",
        "routing",
    ),
    "notifiers": ("errors", "event", "net", "routing.delivery"),
    # Beside the way: look-ups, and those who watch.
    "resources": ("backoff", "docker_details", "errors", "event", "net"),
    "status": ("channel", "delivery.state", "stream.connection"),
    # And those who lend a hand: the office in the service, and the command, which asks it or does it itself.
    "operators": ("errors", "event", "journal.interface", "notifiers.interface", "routing.delivery"),
    "cli": ("errors", "event", "gateway.users", "journal", "operators", "whereabouts"),
    # The gateway is a Tutum of its own, on the other side of the wire.
    "gateway": (
        "channel",
        "docker_details",
        "errors",
        "event",
        "listening",
        "place",
        "reach",
        "room",
        "status.systemd",
        "steady",
        "trouble",
        "twistd",
        "whereabouts",
    ),
    # What both doors want of twistd.
    "twistd": ("errors", "logs", "outputs"),
    "steady": (),
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
        "gateway.docker.engines",
        "journal.interface",
        "listening",
        "net",
        "stream.credentials",
        "variables",
        "whereabouts",
    ),
    "outlets": ("delivery.manners", "delivery.rate", "net.http", "notifiers", "settings"),
    "source": ("gateway", "settings", "stream.credentials"),
    "service": (
        "delivery",
        "errors",
        "intake",
        "resync",
        "journal.housekeeping",
        "journal.interface",
        "listening",
        "status",
        "stream",
        "twistd",
    ),
    "tap": ("assembly", "errors", "reach", "service", "settings", "steady", "twistd"),
}
"""What of `tutumstream` each of its modules and packages may import, by dotted prefix."""

AT_HOME_EVERYWHERE: Final = {"", "assembly", "__main__"}
"""Not in the table: `assembly` knows everybody but `tap`, and the package itself and `__main__` nobody."""

DOORS: Final = ["gateway.tap", "tap"]
"""One for each plugin."""

BEHIND_KLEIN: Final = {
    "operators.api",
    "status.pages",
    "source",
    "assembly",
}
"""Klein imports the global reactor, so these are imported once it is chosen; acceptance/test_imports.py sees it."""

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


@cache
def text(path: Path) -> str:
    return path.read_text()


UNIT_TESTS: Final = [
    path for path in TESTS.values() if path.name.startswith("test_") and "pytest.mark.acceptance" not in text(path)
]


@dataclass(frozen=True)
class Contents:
    """What a file is made of.

    Attributes:
        silent: whether there is something in it, but no docstring.
        imported: every module that it imports, at its top or anywhere else, with the names taken from it.
        named: its classes and functions, however deep.
        lengths: lines of each function, by its name.
    """

    silent: bool
    imported: tuple[str, ...]
    named: tuple[str, ...]
    lengths: tuple[tuple[str, int], ...]


@cache
def contents(path: Path) -> Contents:
    whole = ast.parse(text(path))
    imported: list[str] = []
    named: list[str] = []
    lengths: list[tuple[str, int]] = []
    for node in statements(whole.body):
        if isinstance(node, ast.Import):
            imported += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            imported += (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            named.append(node.name)
            if not isinstance(node, ast.ClassDef):
                lengths.append((node.name, (node.end_lineno or 0) - node.lineno))
    silent = bool(whole.body) and not ast.get_docstring(whole)
    return Contents(silent, tuple(imported), tuple(named), tuple(lengths))


def statements(body: Sequence[ast.AST]) -> Iterator[ast.stmt]:
    """Every statement, however deep: imports and definitions are nothing else."""
    for each in body:
        if isinstance(each, ast.stmt):
            yield each
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            if inner := getattr(each, block, None):
                yield from statements(inner)


def own(path: Path) -> set[str]:
    """What a file imports of tutumstream, without that name."""
    return {name.removeprefix("tutumstream.") for name in contents(path).imported if name.startswith("tutumstream.")}


def allowed(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def uses(path: Path, *names: str) -> list[str]:
    """Where a file takes one of these names, dotted or not, or imports it."""
    wanted = {tuple(name.split(".")) for name in names}
    found: list[str] = []
    if not any(all(part in text(path) for part in name) for name in wanted):
        return found
    for node in ast.walk(ast.parse(text(path))):
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


def test_imports_follow_the_flow() -> None:
    strangers = {
        f"{module} imports {name}"
        for module, path in MODULES.items()
        if (room := module.split(".")[0]) not in AT_HOME_EVERYWHERE
        for name in own(path) - {"__version__"}
        if not allowed(name, (room, *MAY_IMPORT.get(room, ())))
    }
    assert strangers == set()


def test_every_room_has_a_line_in_the_table_and_every_line_a_room() -> None:
    assert set(MAY_IMPORT) == {name.split(".")[0] for name in MODULES} - AT_HOME_EVERYWHERE


def test_nothing_imports_the_door_and_only_the_door_imports_the_composition_root() -> None:
    knows = {name: {target.split(".")[0] for target in own(path)} for name, path in MODULES.items()}
    assert [name for name, rooms in knows.items() if "tap" in rooms] == []
    assert [name for name, rooms in knows.items() if "assembly" in rooms] == ["tap"]


def test_twistd_imports_nothing_but_a_service_maker_for_the_plugin() -> None:
    assert contents(PLUGIN).imported == ("twisted.application.service.ServiceMaker",)


def test_only_the_door_names_the_global_reactor() -> None:
    assert [name for name, path in MODULES.items() if "twisted.internet.reactor" in contents(path).imported] == DOORS


def test_a_module_is_small_and_says_what_it_is() -> None:
    long, silent = [], []
    for name, path in MODULES.items():
        found = contents(path)
        if len(text(path).splitlines()) > 350:
            long.append(f"{name}: the norm is 250 lines")
        if found.silent:
            silent.append(name)
        long += [f"{name}, {function}: the norm is 40 lines" for function, lines in found.lengths if lines >= 60]
    assert (long, silent) == ([], [])


def test_names_say_something() -> None:
    meaningless = [
        f"{module}: {name}"
        for module, path in MODULES.items()
        for name in (*module.split("."), *contents(path).named)
        if MEANINGLESS.search(name)
    ]
    assert meaningless == []


def test_deferreds_are_awaited_in_coroutines() -> None:
    assert [place for path in MODULES.values() for place in uses(path, "inlineCallbacks", "returnValue")] == []


def test_an_ignored_type_error_is_named() -> None:
    bare = re.compile(r"#\s*type:\s*ignore(?!\[)")
    assert [name for name, path in (MODULES | TESTS).items() if bare.search(text(path))] == []


def test_tests_replace_nothing_behind_anyones_back() -> None:
    places = [place for path in TESTS.values() for place in uses(path, "mock.patch", "unittest.mock", "patch.object")]
    assert places == []


def test_no_unit_test_waits_for_real_time() -> None:
    assert [place for path in UNIT_TESTS for place in uses(path, "time.sleep", "asyncio.sleep")] == []
