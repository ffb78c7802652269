"""What the documents tell a reader to type runs as it stands, right after the first lines of the README."""

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
_OURS = re.compile(r"(?:^|[ /])(twistd|tutumstream|pytest)(?= )")


def commands(document: str) -> list[str]:
    """The indented lines that call something that pip installs, comments left out."""
    blocks = [line.strip() for line in (CHECKOUT / document).read_text().splitlines() if line.startswith("    ")]
    return [line for block in blocks if _OURS.search(line := block.partition("  #")[0])]


@pytest.mark.parametrize("document", ["README.md", "docs/gateway.md"])
def test_commands_are_called_from_where_the_reader_installed_them(document: str) -> None:
    found = commands(document)
    assert found
    for line in found:
        for program in _OURS.finditer(line):
            before = line[: program.start(1)]
            # The plugin's name follows twistd; everything else is a program.
            assert before.endswith(".venv/bin/") or "twistd" in before or "-m" in before, f"{document}: {line}"
