"""Nothing that was read is lost: the real service, a steady stream, a moody destination, and kill after kill.

    python -m tests.acceptance.conservation [--events N] [--rate R] [--kills K] [--calm SECONDS] [--seed S]

Events with hidden numbers come at a steady rate. The destination limits, fails, hangs, cuts connections and refuses by
chance. The service is killed (SIGKILL) at random moments and started again on the same state folder; each time its
journal is copied first and read, to know what it had committed. In the end `conservation_account` says whether
everything adds up. Exit status 0 when it does.
"""

import argparse
import json
import random
import shutil
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.acceptance.conservation_account import Account, Look
from tests.acceptance.conservation_world import World
from tests.acceptance.service import RunningService, until

RESOURCES: Final = 300

QUIET: Final = 120.0
"""Seconds that the rest may take after the last event was sent."""


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Attributes:
        calm: mean seconds between two troubles of the destination.
    """

    events: int = 120_000
    rate: float = 2000.0
    kills: int = 20
    calm: float = 2.0
    seed: int = 1


@dataclass(frozen=True)
class Run:
    """What came of it.

    Attributes:
        problems: of the account and of the service's own log; empty when all is well.
        troubles: how often the destination had each.
        table: the numbers, by name, for people.
    """

    account: Account
    problems: list[str]
    troubles: Mapping[str, int]
    table: dict[str, object]


def run(plan: Plan, folder: Path) -> Run:
    """Do all of it; takes as long as the events do, and the service's starts."""
    dice = random.Random(plan.seed)
    kills = sorted(dice.sample(range(plan.events), plan.kills))
    looks: list[Look] = []
    bugs: list[str] = []
    began = time.monotonic()
    with World(plan.events, plan.rate, RESOURCES, plan.calm, plan.seed) as world:
        service = RunningService(folder / "service", world.environment())
        service.start()
        try:
            for number in kills:
                until(lambda: len(world.uris) > number, f"event {number}", 60 + plan.events / plan.rate)  # noqa: B023
                time.sleep(dice.uniform(0.0, 0.05))
                service.kill()
                bugs += _bugs(service)
                looks.append(look_into(service.state_dir, folder))
                world.begin_life()
                service.start()
            until(lambda: len(world.uris) == plan.events, "last event", 60 + plan.events / plan.rate)
            sent_after = time.monotonic() - began
            _wait_for_the_rest(world, looks)
            drained_after = time.monotonic() - began - sent_after
            status = service.terminate()
            bugs += _bugs(service)
        finally:
            service.kill()
        end = look_into(service.state_dir, folder)
        account = Account(world.uris, world.connected_at, world.arrivals, world.refused, looks, end)
        problems = [*account.check(), *bugs]
        if status:
            problems.append(f"the service ended with status {status}")
        return Run(account, problems, world.troubles, _table(account, world, sent_after, drained_after))


def look_into(state: Path, folder: Path) -> Look:
    """Read a copy of the journal: opening the files themselves would change them."""
    with TemporaryDirectory(dir=folder) as copy:
        for name in ("journal.sqlite3", "journal.sqlite3-wal"):
            if (state / name).exists():
                shutil.copyfile(state / name, Path(copy) / name)
        with closing(sqlite3.connect(Path(copy) / "journal.sqlite3")) as connection:
            (well,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            assert well == "ok", well
            return Look(
                frozenset(number for (number,) in connection.execute(_COMMITTED)),
                frozenset(number for (number,) in connection.execute(_PENDING)),
                dict(connection.execute(_DEAD).fetchall()),
            )


_NUMBERS: Final = "SELECT CAST(body ->> '$.state' AS INTEGER)"
_OURS: Final = "body ->> '$.type' = 'container'"
_COMMITTED: Final = f"{_NUMBERS} FROM events WHERE {_OURS}"
_PENDING: Final = f"""
{_NUMBERS} FROM deliveries JOIN events ON events.seq = event_seq WHERE {_OURS} AND settled_at IS NULL
"""
_DEAD: Final = f"""
{_NUMBERS}, cause FROM dead_letters
JOIN deliveries ON deliveries.seq = delivery_seq JOIN events ON events.seq = event_seq
"""


def _wait_for_the_rest(world: World, looks: list[Look]) -> None:
    """Everything that must arrive has arrived, or was refused; or it is not going to."""
    wanted = frozenset().union(*(look.committed for look in looks), range(world.connected_at, len(world.uris)))
    deadline = time.monotonic() + QUIET
    while time.monotonic() < deadline:
        if not wanted - {arrival.number for arrival in tuple(world.arrivals)} - world.refused:
            return
        time.sleep(0.5)


def _bugs(service: RunningService) -> list[str]:
    """What the service itself calls a bug. The last line of a killed one may be cut."""
    whole = [line for line in service.lines if line.endswith("}")]
    entries = [json.loads(line) for line in whole]
    logged = [f"the service logged: {entry['event']}" for entry in entries if entry["level"] == "critical"]
    return logged + [f"the service wrote to stderr: {line}" for line in service.errors]


def _table(account: Account, world: World, sent_after: float, drained_after: float) -> dict[str, object]:
    repeats = account.repeats_by_kill()
    backlogs = [len(look.pending) for look in account.looks]
    return {
        "events sent": len(account.uris),
        "of these committed": len(account.end.committed),
        "lost in a kill before they were committed": account.lost_unread,
        "delivered": len({arrival.number for arrival in account.arrivals}),
        "dead letters": len(account.end.dead),
        "delivered more than once": sum(repeats.values()),
        "at most, by one kill": max(repeats.values(), default=0),
        "pending at a kill, least and most": f"{min(backlogs, default=0)} and {max(backlogs, default=0)}",
        "kills": len(account.looks),
        "troubles of the destination": ", ".join(f"{name} {count}" for name, count in sorted(world.troubles.items())),
        "seconds until all was sent, starts included": round(sent_after, 1),
        "seconds until the rest had arrived": round(drained_after, 1),
    }


def main(arguments: list[str]) -> int:
    """One run; prints what came of it."""
    options = argparse.ArgumentParser(prog="python -m tests.acceptance.conservation", description=__doc__)
    for name in ("events", "rate", "kills", "calm", "seed"):
        default = getattr(Plan, name)
        options.add_argument(f"--{name}", type=type(default), default=default)
    plan = Plan(**vars(options.parse_args(arguments)))
    with TemporaryDirectory(prefix="conservation-") as folder:
        came = run(plan, Path(folder))
    for name, value in came.table.items():
        sys.stdout.write(f"{name:45} {value}\n")
    for problem in came.problems:
        sys.stdout.write(f"BROKEN: {problem}\n")
    return 1 if came.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
