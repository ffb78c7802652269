"""Processes of their own that a benchmark commands: a line to their standard input, a line of JSON back.

Times are those of `time.monotonic`, which is one clock for all processes of a Linux machine.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Answers = dict[str, Callable[..., Awaitable[object]]]

TICK = os.sysconf("SC_CLK_TCK")


class Part:
    """A module of this folder, run as a program.

    Attributes:
        port: where it listens on 127.0.0.1.
    """

    def __init__(self, module: str, *options: str) -> None:
        command = [sys.executable, str(Path(__file__).with_name(module)), *options]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = self._answer()

    def ask(self, *words: object) -> Any:
        """Tell it to do something, and wait until it did."""
        assert self._process.stdin is not None
        print(*words, file=self._process.stdin, flush=True)
        return self._answer()

    def end(self) -> None:
        """It has nothing to tidy up."""
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a part of the benchmark died; what it said stands above")
        return json.loads(line)


async def obey(port: int, answers: Answers) -> None:
    """The other end: tell the port, then do as told until standard input ends."""
    print(port, flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, *words = line.split()
        print(json.dumps(await answers[name](*map(float, words))), flush=True)


def cpu(pid: int) -> float:
    """Seconds of CPU time that all threads of a process have used; counted in ticks of 10 ms (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def waited(pid: int) -> float:
    """Seconds for which a process's main thread was ready to run while others had the processors (schedstat)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def busy() -> tuple[float, float]:
    """Seconds that all processors of the machine together were used, and idle (proc(5))."""
    user, nice, system, idle, disk, *others = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + sum(others)) / TICK, (idle + disk) / TICK


def peak(pid: int) -> float:
    """The most memory that a process ever had resident, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
