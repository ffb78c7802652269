"""A gap in one sentence. Pure."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from tutumstream.docker_details import DockerDetails
from tutumstream.event import Event, escaped
from tutumstream.resync.compare import Change, Findings

MOST: Final = 12
"""Kinds of changes that are counted one by one."""

_TYPES: Final = ("container", "service", "stack", "node", "nodecluster")
_NAMES: Final = {"nodecluster": "node cluster"}


def duration(seconds: float) -> str:
    """`42 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`: what matters of a time."""
    whole = max(1, round(seconds))
    for size, name, part, part_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{whole} s"


def summary(seconds: float, findings: Findings, late: Mapping[str, Event]) -> str:
    """`42 s without a stream: 2 containers stopped, 1 service redeployed`.

    Args:
        seconds: how long it was.
        findings: what the comparison found.
        late: what the server told of it by itself before, by URI.
    """
    counted = Counter(
        (change.now.type, _verb(change.action, change.now.state, change.docker))
        for change in findings.changes
        if not _folded(change, findings)
    )
    found = {change.now.uri for change in findings.changes}
    counted.update(
        (event.type, _verb(event.action, event.state, event.docker)) for uri, event in late.items() if uri not in found
    )
    if findings.redeployed:
        counted["service", "redeployed"] += len(findings.redeployed)
    groups = sorted(counted.items(), key=lambda group: _TYPES.index(group[0][0]))
    parts = [f"{number} {_named(kind, number)} {verb}" for (kind, verb), number in groups[:MOST]]
    if len(groups) > MOST:
        parts.append(f"{sum(number for _, number in groups[MOST:])} more changes")
    return f"{duration(seconds)} without a stream: {', '.join(parts) or 'nothing was missed'}"


def unknown(seconds: float, reason: str) -> str:
    """The same while nobody can be asked."""
    return (
        f"{duration(seconds)} without a stream: what changed meanwhile is not known yet, because the REST API can't be "
        f"asked ({reason}); it is told as soon as it can"
    )


def _folded(change: Change, findings: Findings) -> bool:
    """Whether it is a part of a redeployment, which is counted as one thing."""
    return change.now.uri in findings.replaced


def _verb(action: str, state: str, docker: DockerDetails | None) -> str:
    if docker is not None and docker.event in ("healthy", "unhealthy"):
        return docker.event
    return escaped(state.lower() if action == "update" else f"{action}d", 40)


def _named(kind: str, number: int) -> str:
    return _NAMES.get(kind, kind) + ("" if number == 1 else "s")
