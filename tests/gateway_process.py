"""The gateway over the scenario, as a process of its own: prints its port, serves user alice with key k3y."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

USER, KEY = "alice", "k3y"


@contextmanager
def running_gateway() -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """Its port and its process, until the end of the `with`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.gateway_process"],
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        try:
            yield int(process.stdout.readline()), process
        finally:
            process.kill()


def main() -> None:
    """Serve until a signal comes; stop politely then."""
    from twisted.internet import reactor as installed
    from twisted.internet.endpoints import serverFromString

    from tutumstream.gateway.access import Access, Credentials
    from tutumstream.gateway.gate import Gate
    from tutumstream.gateway.scenario import ScenarioPlatform
    from tutumstream.gateway.service import GatewayService

    reactor: Any = installed
    platform = ScenarioPlatform(reactor, Random(7))
    endpoint = serverFromString(reactor, "tcp:0:interface=127.0.0.1")
    gateway = GatewayService(reactor, endpoint, platform, Gate(Access([Credentials(USER, KEY)]), reactor))
    platform.on_interrupt = gateway.interrupt
    gateway.startService()

    def listening(port: Any) -> None:
        sys.stdout.write(f"{port.getHost().port}\n")
        sys.stdout.flush()

    gateway.started.addCallback(listening)
    reactor.addSystemEventTrigger("before", "shutdown", gateway.stopService)
    reactor.run()


if __name__ == "__main__":
    main()
