"""How fast the whole service is: `python benchmarks/service.py [MODE] [OPTIONS]`.

The service as a user starts it, by twistd with defaults, its journal on disk and synced, reads events from a source and
posts each to a sink; both are processes of their own. After it, in the same round, a peer that keeps nothing.

* without a mode: a storm. Events a second from the first one sent to the last POST received; CPU time an event, the
  start excluded; the most memory that it ever had.
* `--latency`: at `--rate` events a second, milliseconds from the wire to the sink.
* `--idle`: the share of a core that is used while nothing happens, over 10 seconds.
* `--unwanted`: a storm of events that no route wants, up to the POST of a last one that is wanted.
* `--elasticsearch`: a storm that is indexed, up to the last document; the sink answers as fast as it can that each was
  created. The REST API can't be reached, so that documents come without their resource.
* `--both`: a storm that is posted and indexed, each to a sink of its own, up to the last of both.

The best of `--rounds` counts, as whatever else runs on the machine only slows things down. `--peer COMMAND` names
another peer; it gets the environment variables STREAM and SINK. `--profile FILE` runs the service once, under cProfile:
look at it with `python -m pstats FILE`.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from parts import Part, cpu, peak

HERE = Path(__file__).parent

SETTLE = 1.5
"""Seconds between the connection and the first event: the start is not what is measured."""

PATIENCE = 120
"""Seconds that a storm may last."""

IDLE = 10


@dataclass
class Runner:
    """One of those that are compared."""

    name: str
    command: list[str]
    environment: dict[str, str]
    sinks: int = 1


@dataclass
class World:
    """A runner at work."""

    source: Part
    sinks: list[Part]
    pid: int


@contextmanager
def world(runner: Runner, folder: str | None) -> Iterator[World]:
    """Source, sinks and runner, connected."""
    source, sinks = Part("source.py"), [Part("sink.py") for _ in range(runner.sinks)]
    with TemporaryDirectory(dir=folder) as state, running(runner, state, source, sinks) as process:
        source.ask("connected")
        time.sleep(SETTLE)
        yield World(source, sinks, process.pid)


@contextmanager
def running(runner: Runner, state: str, source: Part, sinks: list[Part]) -> Iterator[subprocess.Popen[bytes]]:
    """The runner between these, which end with it."""
    urls = [f"http://127.0.0.1:{sink.port}/hook" for sink in sinks]
    places = {"stream": f"ws://127.0.0.1:{source.port}", "sink": urls[0], "other": urls[-1]}
    ours = {name: value.format(state=state, **places) for name, value in runner.environment.items()}
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "NODE_PATH") if name in os.environ}
    process = subprocess.Popen(runner.command, env={**inherited, **ours}, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        for part in (source, *sinks):
            part.end()


def service(*options: str, destination: str = "WEBHOOK_URL", other: str = "") -> Runner:
    """Ours, with the defaults, and one destination or two."""
    environment = {
        "TUTUM_USERNAME": "benchmark",
        "TUTUM_TOKEN": "benchmark",
        "TUTUM_STREAM_HOST": "{stream}",
        "TUTUM_REST_HOST": "http://127.0.0.1:9",
        destination: "{sink}",
        "TUTUMSTREAM_STATE_DIR": "{state}",
        "TUTUMSTREAM_LISTEN": "none",
        **({other: "{other}"} if other else {}),
    }
    twistd = str(Path(sys.executable).with_name("twistd"))
    command = [twistd, "-n", "--pidfile=", *options, "tutumstream"]
    return Runner("tutumstream", command, environment, sinks=2 if other else 1)


def peer(command: str) -> Runner:
    """Any other program."""
    return Runner("peer", shlex.split(command), {"STREAM": "{stream}", "SINK": "{sink}"})


def storm(runner: Runner, given: argparse.Namespace, order: str = "storm") -> tuple[float, float, float]:
    """Events a second, microseconds of CPU time an event, MiB."""
    wanted = 1 if order == "unwanted" else given.events
    with world(runner, given.folder) as at:
        before = cpu(at.pid)
        begun = at.source.ask(order, given.events)
        seen = [sink.ask("wait", wanted, PATIENCE) for sink in at.sinks]
        used, most = cpu(at.pid) - before, peak(at.pid)
        again = sum(sink.ask("again") for sink in at.sinks)
    came = min(one["came"] for one in seen)
    if came != wanted or again:
        raise SystemExit(f"{runner.name}: {came} of {wanted} came, and {again} more than once")
    return given.events / (max(one["last"] for one in seen) - begun), used / given.events * 1e6, most


def latency(runner: Runner, given: argparse.Namespace) -> tuple[float, float, float]:
    """p50, p99 and the longest, in milliseconds."""
    events = int(given.rate * given.seconds)
    with world(runner, given.folder) as at:
        sent = at.source.ask("steady", given.rate, events)
        (sink,) = at.sinks
        seen = sink.ask("wait", events, 10)
        again = sink.ask("again")
        took = sorted((came - sent[number]) * 1e3 for number, came in sink.ask("times"))
    print(f"  {runner.name}: lost {events - seen['came']}, twice {again}")
    return took[len(took) // 2], took[int(len(took) * 0.99)], took[-1]


def idle(runner: Runner, given: argparse.Namespace) -> tuple[float, float]:
    """Percent of a core, and MiB."""
    with world(runner, given.folder) as at:
        time.sleep(SETTLE)
        before = cpu(at.pid)
        time.sleep(IDLE)
        return (cpu(at.pid) - before) / IDLE * 100, peak(at.pid)


def compare_storms(given: argparse.Namespace) -> None:
    """Print events a second, CPU time and memory, and their ratios."""
    runners = [service(), peer(given.peer)]
    best = {runner.name: (0.0, float("inf"), float("inf")) for runner in runners}
    for _ in range(given.rounds):
        for runner in runners:
            rate, used, most = storm(runner, given)
            print(f"  {runner.name}: {rate:,.0f} events/s, {used:.0f} µs, {most:.0f} MiB")
            at = best[runner.name]
            best[runner.name] = max(at[0], rate), min(at[1], used), min(at[2], most)
    print(f"{given.events} events, best of {given.rounds}    events/s   µs CPU an event   MiB at most")
    for name, (rate, used, most) in best.items():
        print(f"{name:>28}  {rate:10,.0f}  {used:16.0f}  {most:12.0f}")
    ours, theirs = best.values()
    print(f"{'ratio':>28}  {ours[0] / theirs[0]:10.2f}  {ours[1] / theirs[1]:16.2f}  {ours[2] / theirs[2]:12.2f}")


def compare_latencies(given: argparse.Namespace) -> None:
    """Print the percentiles of each, those of the round with the best p99."""
    for runner in (service(), peer(given.peer)):
        p50, p99, most = min((latency(runner, given) for _ in range(given.rounds)), key=lambda found: found[1])
        print(f"{runner.name:>12} at {given.rate:.0f}/s: p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {most:.2f} ms")


def main() -> None:
    """Measure what is asked for."""
    asked = argparse.ArgumentParser(description="How fast the whole service is.")
    mode = asked.add_mutually_exclusive_group()
    mode.add_argument("--latency", action="store_true")
    mode.add_argument("--idle", action="store_true")
    mode.add_argument("--unwanted", action="store_true")
    mode.add_argument("--elasticsearch", action="store_true")
    mode.add_argument("--both", action="store_true")
    mode.add_argument("--profile", metavar="FILE")
    asked.add_argument("--events", type=int, default=20_000)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--rate", type=float, default=1000)
    asked.add_argument("--seconds", type=float, default=5)
    asked.add_argument("--peer", default=shlex.join([sys.executable, str(HERE / "peer.py")]))
    asked.add_argument("--folder", help="where the journal is made; its disk counts")
    given = asked.parse_args()
    if given.latency:
        compare_latencies(given)
    elif given.idle:
        share, most = min(idle(service(), given) for _ in range(given.rounds))
        print(f"idle: {share:.2f} % of a core, {most:.0f} MiB at most")
    elif given.unwanted:
        rate, used, most = max(storm(service(), given, "unwanted") for _ in range(given.rounds))
        print(f"unwanted: {rate:,.0f} events/s, {used:.0f} µs CPU an event, {most:.0f} MiB at most")
    elif given.elasticsearch:
        rate, used, most = max(storm(service(destination="ELASTICSEARCH_URL"), given) for _ in range(given.rounds))
        print(f"elasticsearch: {rate:,.0f} documents/s, {used:.0f} µs CPU a document, {most:.0f} MiB at most")
    elif given.both:
        runner = service(other="ELASTICSEARCH_URL")
        rate, used, most = max(storm(runner, given) for _ in range(given.rounds))
        print(f"both: {rate:,.0f} events/s, {used:.0f} µs CPU an event, {most:.0f} MiB at most")
    elif given.profile:
        storm(service("--profile", given.profile, "--profiler", "cprofile", "--savestats"), given)
    else:
        compare_storms(given)


if __name__ == "__main__":
    main()
