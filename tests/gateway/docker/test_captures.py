"""Captures of real swarms and of a real crowd, and all that is to be told of each.

What is told is kept in `corpus/docker/golden/`, a line for each change, what there is to hear for people at the end.
The engine's own stream is all that there is here: what its managers would have answered in between is in other tests.
"""

import gzip
import json
from collections import Counter
from itertools import accumulate

import pytest

from tests.gateway.docker.model import CORPUS, Told, capture, replayed
from tutumstream.gateway.docker.hints import SwarmHint, read_hint

HINTS = {
    "12-swarm-service": 9,
    "13-swarm-task-fail": 12,
    "14-stack-deploy": 11,
    "15-node-drain": 8,
    "16-two-nodes": 6,
    "16-two-nodes.worker": 0,
    "17-node-return-leave-rm": 13,
    "22-push-pull": 3,
    "28-service-update-paused-rollback": 13,
}
"""How often each stream says that something happened to a service or a node: so often the managers are asked."""


@pytest.mark.parametrize("name", HINTS)
def test_of_a_capture_is_told_what_happened_and_nothing_else(name: str) -> None:
    told = replayed(f"{name}.jsonl")
    said = [*told.lines(), *(f"news: {line}" for line in told.news())]
    assert said == (CORPUS / "golden" / f"{name}.txt").read_text().splitlines()


@pytest.mark.parametrize("name", HINTS)
def test_what_happens_to_services_and_nodes_makes_the_managers_be_asked(name: str) -> None:
    hints = [read_hint(line) for line in capture(f"{name}.jsonl")]
    assert sum(isinstance(hint, SwarmHint) for hint in hints) == HINTS[name]


@pytest.mark.parametrize("name", HINTS)
def test_a_replay_after_a_resync_tells_nothing_a_second_time(name: str) -> None:
    told = Told()
    told.replay(capture(f"{name}.jsonl"))
    told.changes.clear()
    for line in capture(f"{name}.jsonl"):
        told.hear(line)
    assert told.take("container", "stack", "action") == []


def test_a_crowd_of_200_is_told_container_by_container_though_the_stream_is_out_of_order() -> None:
    lines = gzip.decompress((CORPUS / "24-load200.jsonl.gz").read_bytes()).splitlines()
    times = [json.loads(line)["timeNano"] for line in lines]
    assert sum(time < latest for time, latest in zip(times, accumulate(times, max), strict=True)) == 49
    told = Told()
    told.replay(iter(lines))
    stories: dict[str, list[str]] = {}
    for change in told.changes:
        if change.type == "container":
            stories.setdefault(change.resource_uri, []).append(change.state)
    run = ("Running", "Stopping", "Stopped")
    assert Counter(map(tuple, stories.values())) == {("Starting", *run, *run, "Terminated"): 200}
    assert told.news() == []
    assert told.registry.alive() == []
    (last,) = (change for change in told.changes if change.type == "stack" and change.action == "delete")
    assert last.state == "Terminated"
