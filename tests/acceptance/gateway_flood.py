"""A gateway of which two clients are told of 60,000 changes, as fast as they can be told. For `test_slow_clients.py`.

Prints its port; begins when the second client has come.
"""

import sys
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import LoopingCall

from tests.gateway_process import KEY, USER
from tutumstream.gateway.access import Access, Credentials
from tutumstream.gateway.gate import Gate
from tutumstream.gateway.platform import Change
from tutumstream.gateway.service import GatewayService
from tutumstream.testing import ScriptedPlatform

CHANGES = 60_000
A_TURN = 250


def main() -> None:
    reactor: Any = installed
    platform = ScriptedPlatform()
    gate = Gate(Access([Credentials(USER, KEY)]), reactor)
    gateway = GatewayService(reactor, serverFromString(reactor, "tcp:0:interface=127.0.0.1"), platform, gate)
    numbers = iter(range(CHANGES))
    began: list[bool] = []

    def flood() -> None:
        if not began and gateway._stream.clients < 2:
            return
        began.append(True)
        for number in [number for _, number in zip(range(A_TURN), numbers, strict=False)]:
            uri = f"/api/v1/container/{number:0>64}/"
            platform.emit(Change(type="container", action="update", state="Running", resource_uri=uri))

    def listening(port: Any) -> None:
        sys.stdout.write(f"{port.getHost().port}\n")
        sys.stdout.flush()

    gateway.started.addCallback(listening)
    gateway.startService()
    LoopingCall(flood).start(0.01)
    reactor.run()


if __name__ == "__main__":
    main()
