"""The service as a real process, as its users start it, and what the tests want to know of it."""

import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Protocol, TypeVar

from tests.running_tutum import RunningTutum

USER: Final = "alice"
TOKEN: Final = "k3y"

TWISTD: Final = Path(sys.executable).parent / "twistd"

POLL: Final = 0.02
"""Seconds between two looks at something that can't tell when it changes."""

T = TypeVar("T")


class Serve(Protocol):
    """The fixtures `serve`, which starts a service, and `prepare`, which leaves that to the test.

    By default it listens to `tutum` and tells `told`.
    """

    def __call__(self, *options: str, name: str = "service", **environment: str) -> "RunningService":
        """Variables with the value "" are left out; the same `name` is the same state folder."""


def listening(tutum: RunningTutum) -> dict[str, str]:
    """The variables that make a service listen there."""
    return {
        "TUTUM_USERNAME": USER,
        "TUTUM_TOKEN": TOKEN,
        "TUTUM_STREAM_URL": tutum.stream_url,
        "TUTUM_BASE_URL": f"{tutum.http_url}/api/v1/",
    }


def container(name: object, action: str = "update") -> str:
    """An event of a container of that name, as it comes over the wire."""
    uri = f"/api/v1/container/{name}/"
    event = {"type": "container", "action": action, "state": "Running", "resource_uri": uri, "parents": []}
    return json.dumps(event)


def message(name: object, action: str = "update") -> dict[str, str]:
    """What Slack gets for it."""
    text = f"Your container was {action}d on Tutum!\nCheck /api/v1/container/{name}/ to see more details."
    return {"text": text}


def moment(entry: dict[str, Any]) -> float:
    """When a line of the log was written, seconds since 1970."""
    return datetime.fromisoformat(entry["time"]).timestamp()


def until(look: Callable[[], T], what: str, timeout: float = 15.0, instead: Callable[[], object] | None = None) -> T:
    """Look again and again; gives the first answer that is true, or fails with `what` it waited for, and what there was
    `instead`."""
    deadline = time.monotonic() + timeout
    while not (answer := look()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"still no {what} after {timeout:g} s" + (f": {instead()}" if instead else ""))
        time.sleep(POLL)
    return answer


def free_port() -> int:
    """A port that nobody has, and that the kernel gives to nobody who asks for any."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(lowest // 2, lowest)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


class RunningService:
    """`twistd -n --pidfile= tutumstream`, to be used in a `with`; whatever is left of it is killed at the end.

    Args:
        folder: for its home, its working folder and its state; the same one again is a restart.
        environment: variables; of the machine's own only PATH and PYTHONPATH are passed on.
        options: of the plugin.

    Attributes:
        lines: what it wrote to stdout so far, `errors` what it wrote to stderr.
        started_at: seconds since 1970.
        status: the exit status; None while it runs.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], *options: str) -> None:
        self.state_dir = folder / "state"
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.status: int | None = None
        self.port = free_port()
        self._folder = folder
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            "HOME": str(folder),
            "TUTUMSTREAM_STATE_DIR": str(self.state_dir),
            "TUTUMSTREAM_LOG_FORMAT": "json",
            **environment,
        }
        self._command = [
            str(TWISTD), "-n", "--pidfile=", "tutumstream", "--listen", f"tcp:{self.port}:interface=127.0.0.1", *options
        ]  # fmt: skip
        self._process: subprocess.Popen[str] | None = None
        self._readers: list[threading.Thread] = []
        self._news = threading.Condition()

    def __enter__(self) -> "RunningService":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        sys.stderr.write(f"The service's last lines:\n{self._latest()}\n")

    def start(self) -> None:
        """Begin, or begin anew."""
        self._folder.mkdir(exist_ok=True)
        self.status = None
        self.lines, self.errors = [], []
        self.started_at = time.time()
        self._process = process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Without a terminal, wherever the tests are run.
            start_new_session=True,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((process.stdout, self.lines), (process.stderr, self.errors))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """The process, which must run."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory runs out."""
        if self._process is not None and self.status is None:
            self._process.kill()
            self.wait()

    def terminate(self, timeout: float = 20.0) -> int:
        """SIGTERM; gives the exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait(timeout)

    def wait(self, timeout: float = 20.0) -> int:
        """The exit status, once it has ended and all that it wrote was read."""
        assert self._process is not None
        self.status = self._process.wait(timeout)
        for reader in self._readers:
            reader.join(5)
        return self.status

    def entries(self) -> list[dict[str, Any]]:
        """The log so far, one object a line; every line must be one."""
        return [json.loads(line) for line in tuple(self.lines)]

    def said_at(self, text: str) -> float:
        """When the first line with this text was written, seconds since 1970."""
        return next(moment(entry) for entry in self.entries() if text in entry["event"])

    def told(self, logger: str = "", level: str = "") -> list[str]:
        """The log's sentences so far; `logger` is the end of a name."""
        return [
            entry["event"]
            for entry in self.entries()
            if entry["logger"].endswith(logger) and level in ("", entry["level"])
        ]

    def wait_for_line(self, text: str, timeout: float = 15.0, count: int = 1) -> str:
        """The `count`-th line of stdout with this text in it, as soon as it is there."""

        def found() -> list[str]:
            return [line for line in self.lines if text in line]

        with self._news:
            there = self._news.wait_for(lambda: len(found()) >= count or not self._alive(), timeout)
        assert len(found()) >= count, (
            f"{'ended' if there else 'waited'} without line {count} with {text!r} in\n{self._latest()}"
        )
        return found()[count - 1]

    def wait_until_connected(self, count: int = 1, timeout: float = 15.0) -> None:
        """Return when the stream has been opened that many times, and was accepted."""
        self.wait_for_line("Auth completed", timeout, count)

    def probe(self, path: str = "/readyz") -> tuple[int, dict[str, Any]]:
        """Status and JSON of a page; status 0 while nothing listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)
        except OSError:
            return 0, {}

    def waiting(self) -> int:
        """Deliveries of which its journal does not know that they arrived; it must run."""
        journal = self.state_dir / "journal.sqlite3"
        with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM deliveries WHERE settled_at IS NULL").fetchone()
        return int(count)

    def kill_at_rest(self) -> None:
        """SIGKILL once all that arrived is known to have arrived, so that nothing is told again."""
        until(lambda: self.waiting() == 0, "word of all deliveries on disk")
        self.kill()

    def resident(self) -> int:
        """KiB of memory that it occupies now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def _latest(self) -> str:
        return "\n".join(line[-1500:] for line in [*self.lines[-30:], *self.errors[-30:]])

    def _alive(self) -> bool:
        return any(reader.is_alive() for reader in self._readers)

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        # Only "\n" ends a line: whoever forges one with another separator shall be seen.
        with stream:
            for line in stream:
                with self._news:
                    lines.append(line.removesuffix("\n"))
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()
