"""What the service's memory is before its first event: resident memory by the package that was being imported.

A package is charged for what it needs itself, not for what it imports in turn. Who imports something first pays for it:
the first one to use OpenSSL, say.
"""

import importlib
from collections import Counter
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

WHOLE = ("twisted.internet.epollreactor", "twisted.scripts.twistd", "tutumstream.tap", "tutumstream.assembly")
PAGE = 4096


def resident() -> int:
    """Bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


class Bill:
    """Charges packages. `inner` is what is imported while another import waits for it."""

    def __init__(self) -> None:
        self.charged: Counter[str] = Counter()
        self._inner = [0]

    def charging(self, step: Callable[[Any, Any], Any], name: Callable[[Any], str]) -> Callable[[Any, Any], Any]:
        """The same step of an import, charged."""

        def charged(loader: Any, what: Any) -> Any:
            before = resident()
            self._inner.append(0)
            try:
                return step(loader, what)
            finally:
                took = resident() - before
                self.charged[name(what).partition(".")[0]] += took - self._inner.pop()
                self._inner[-1] += took

        return charged


def main() -> None:
    """Print a line for each package that takes a megabyte."""
    bill = Bill()
    bare = resident()

    def of_module(module: ModuleType) -> str:
        return module.__name__

    def of_spec(spec: ModuleSpec) -> str:
        return spec.name

    SourceFileLoader.exec_module = bill.charging(SourceFileLoader.exec_module, of_module)  # type: ignore[method-assign]
    ExtensionFileLoader.create_module = bill.charging(  # type: ignore[method-assign]
        ExtensionFileLoader.create_module, of_spec
    )
    for name in WHOLE:
        importlib.import_module(name)
    print(f"{bare / 2**20:6.1f} MiB Python and this program")
    rest = 0
    for package, took in bill.charged.most_common():
        if took >= 2**20:
            print(f"{took / 2**20:6.1f} MiB {package}")
        else:
            rest += took
    print(f"{rest / 2**20:6.1f} MiB all others\n{resident() / 2**20:6.1f} MiB in all")


if __name__ == "__main__":
    main()
