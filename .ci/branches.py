"""Fails unless the modules that decide have their branches covered, each by itself: `branches.py coverage.json`."""

import json
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

LEAST = 95.0
"""Per cent of a module's branches; of its lines, where it has no branch."""

DECIDING = (
    "event",
    "rendering",
    "backoff",
    "errors",
    "settings",
    "destination_settings",
    "trouble",
    "variables",
    "whereabouts",
    "intake",
    "routing/*",
    "delivery/decision",
    "delivery/destination",
    "delivery/pairs",
    "delivery/window",
    "delivery/compose",
    "delivery/state",
    "notifiers/answers",
    "notifiers/bulk_api",
    "notifiers/document",
    "notifiers/elasticsearch_*",
    "notifiers/pagerduty_events",
    "net/retry_after",
    "notifiers/signature",
    "notifiers/text",
    "stream/connection",
    "stream/credentials",
    "status/board",
    "net/address",
    "net/proxy",
    "gateway/access",
    "gateway/backlog",
    "gateway/clientele",
    "gateway/failures",
    "gateway/listing",
    "gateway/orders",
    "gateway/returning",
    "gateway/docker/actions",
    "gateway/docker/address",
    "gateway/docker/checks",
    "gateway/docker/endings",
    "gateway/docker/explain",
    "gateway/docker/facts",
    "gateway/docker/folds",
    "gateway/docker/groups",
    "gateway/docker/hints",
    "gateway/docker/identity",
    "gateway/docker/known",
    "gateway/docker/memory",
    "gateway/docker/mishaps",
    "gateway/docker/reading",
    "gateway/docker/registry",
    "gateway/docker/resources",
    "gateway/docker/runs",
    "gateway/docker/slots",
    "gateway/docker/specifications",
    "gateway/docker/swarm/folds",
    "gateway/docker/swarm/reading",
    "gateway/scenario/*",
    "resync/compare",
    "resync/live",
    "resync/words",
)
"""The pure modules: no clock, no network, no disk."""


def shortcomings(files: dict[str, Any]) -> Iterator[str]:
    """A line for each module that falls short, and for each pattern that names none."""
    for pattern in DECIDING:
        paths = [path for path in files if fnmatch(path, f"tutumstream/{pattern}.py")]
        if not paths:
            yield f"{pattern}: there is no such module"
        for path in paths:
            summary = files[path]["summary"]
            part = "branches" if summary["num_branches"] else "statements"
            covered = summary[f"percent_{part}_covered"]
            if covered <= LEAST:
                yield f"{path}: {covered:.1f} % of its {part}"


def main(report: Path) -> int:
    """The exit status: 1 where a module falls short."""
    short = [*shortcomings(json.loads(report.read_text())["files"])]
    verdict = f"more than {LEAST:g} % of the branches of each module that decides are covered"
    sys.stdout.write("\n".join(short or [verdict]) + "\n")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
