"""Runs a Docker platform and writes what it tells, one JSON object a line. For `test_docker_platform.py`.

    python -m tests.acceptance.docker_watch HOST PING_INTERVAL PING_TIMEOUT

The first line is `{"type": "synced"}`, or `{"type": "failed", "problem": …}`; it ends at the end of its input.
"""

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.stdio import StandardIO
from twisted.python.failure import Failure

from tutumstream.gateway.docker.engines import read_engines
from tutumstream.gateway.docker.wiring import docker_platform
from tutumstream.gateway.platform import Change, IPlatform


def write(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"at": time.time(), **line}) + "\n")
    sys.stdout.flush()


def show(platform: IPlatform, change: Change) -> None:
    """The change, with its resource, and with the name of the stack it belongs to."""
    resource = find(platform, change.resource_uri)
    stacks = [find(platform, uri) for uri in change.parents if "/stack/" in uri]
    write(
        {
            "type": change.type,
            "action": change.action,
            "state": change.state,
            "parents": [uri.split("/")[3] for uri in change.parents],
            "stack": stacks[0] if stacks else None,
            "resource": resource,
        }
    )


def find(platform: IPlatform, uri: str) -> dict[str, Any]:
    kind, uuid = uri.split("/")[3:5]
    return dict(platform.get(kind, uuid) or {})


def read(path: str) -> bytes:
    return Path(path).read_bytes()


class UntilTheEnd(Protocol):
    """Standard input: when it ends, so do we."""

    def __init__(self, end: Deferred[None]) -> None:
        self._end = end

    def connectionLost(self, reason: object = None) -> None:
        self._end.callback(None)


async def watch(host: str, interval: float, patience: float) -> None:
    engines = read_engines([f"test={one}" if "=" not in one else one for one in host.split()], os.environ, read)
    platform = docker_platform(
        reactor,
        engines,
        environment=os.environ,
        jitter=random.random,
        ping_interval=interval,
        ping_timeout=patience,
    )
    platform.subscribe(lambda change: show(platform, change))
    await platform.start()
    write({"type": "synced", "containers": [one["name"] for one in platform.list("container")]})
    end: Deferred[None] = Deferred()
    StandardIO(UntilTheEnd(end))
    await end
    await platform.stop()


def finish(outcome: object) -> None:
    if isinstance(outcome, Failure):
        write({"type": "failed", "problem": str(outcome.value)})
    reactor.stop()  # type: ignore[attr-defined]  # the reactor is a module to mypy


if __name__ == "__main__":
    reactor.callWhenRunning(  # type: ignore[attr-defined]  # the reactor is a module to mypy
        lambda: Deferred.fromCoroutine(watch(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))).addBoth(finish)
    )
    reactor.run()  # type: ignore[attr-defined]  # the reactor is a module to mypy
