"""The scripted Tutum (`tutum_server.py`) as a process of its own."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode


class RunningTutum:
    """The server as a process, to be used in a `with`.

    Args:
        port: 0 for a free one. Give the old one to come back where it was.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._process: subprocess.Popen[str] | None = None

    @property
    def http_url(self) -> str:
        """The REST API's host, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def stream_url(self) -> str:
        """The Stream API's base, `/events` to be appended."""
        return f"ws://127.0.0.1:{self.port}/v1/"

    def __enter__(self) -> "RunningTutum":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Begin; returns when it listens."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.tutum_server", "--port", str(self.port)],
            cwd=Path(__file__).parent.parent,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.strip().isdigit(), "the server did not start; its errors are above"
        self.port = int(line)

    def kill(self) -> None:
        """End without a word, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def mode(self, mode: str = "open", **behaviour: object) -> None:
        """Change the `Behaviour`."""
        self._ask("mode", json.dumps({"mode": mode, **behaviour}).encode())

    def send(self, payload: bytes | str, binary: bool = False) -> None:
        """One frame to every client."""
        data = payload.encode() if isinstance(payload, str) else payload
        self._ask("send?binary=1" if binary else "send", data)

    def put(self, uri: str, state: str, **shown: object) -> None:
        """Show an object, or change it, without telling anybody."""
        uuid = uri.strip("/").split("/")[-1]
        self._ask("put", json.dumps({"resource_uri": uri, "uuid": uuid, "state": state, **shown}).encode())

    def remove(self, uri: str) -> None:
        """Show an object no more, without telling anybody."""
        self._ask("remove", uri.encode())

    def send_bytes(self, data: bytes) -> None:
        """Bytes into every client's socket."""
        self._ask("bytes", data)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """The closing handshake with every client."""
        self._ask("close?" + urlencode({"code": code, "reason": reason}), b"")

    def drop(self) -> None:
        """Cut every connection."""
        self._ask("drop", b"")

    def requests(self) -> list[dict[str, Any]]:
        """All requests so far: `method`, `uri`, `headers` (names in lower case)."""
        return list(self._ask("requests"))

    def state(self) -> dict[str, int]:
        """`clients`, `connections`, `pings`, `pongs`."""
        return dict(self._ask("state"))

    def wait_for_clients(self, count: int = 1, timeout: float = 15.0) -> None:
        """Return when that many are connected."""
        deadline = time.monotonic() + timeout
        while self.state()["clients"] != count:
            assert time.monotonic() < deadline, f"still not {count} clients after {timeout} s: {self.state()}"
            time.sleep(0.05)

    def _ask(self, path: str, body: bytes | None = None) -> Any:
        asked = urllib.request.Request(f"{self.http_url}/control/{path}", data=body)
        asked.add_header("content-type", "application/octet-stream")
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return json.load(answer)
