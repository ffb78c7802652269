"""Speaks HTTP for real: `python -m tests.net.speak JSON` with a list of `{"url", "kind"}` prints the verdicts as JSON.

Runs what the service runs, on a real reactor; proxies and trust come from the environment.
"""

import json
import os
import sys
import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from tests.contracts_notifiers import message, outcome
from tutumstream.net.agent import agent, pool
from tutumstream.net.http import HttpClient
from tutumstream.net.proxy import Proxies
from tutumstream.net.tls import load_trust
from tutumstream.notifiers.slack import SlackNotifier
from tutumstream.notifiers.webhook import WebhookNotifier


async def speak(reactor: Any, wanted: list[dict[str, str]]) -> None:
    kept = pool(reactor)
    http = HttpClient(agent(reactor, Proxies(os.environ), load_trust(os.environ), kept), reactor)
    kinds = {"slack": SlackNotifier, "webhook": WebhookNotifier}
    told = []
    for one in wanted:
        (verdict,) = await kinds[one["kind"]](http, one["url"], time.time).notify([message()])
        told.append([outcome(verdict), getattr(verdict, "reason", "")])
    await kept.closeCachedConnections()
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(speak(reactor, json.loads(sys.argv[1]))))
