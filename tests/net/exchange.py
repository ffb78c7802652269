"""Exchanges over real sockets: `python -m tests.net.exchange JSON`.

The JSON is a list of `{"way", "url", "size", "times"}`: by `treq`, `agent` (treq over our agent) or `fast`, so many
POSTs at once with bodies of that size. Prints, for each, the list of what came of it: `[status, length of the body]`,
or the trouble in words. Proxies and trust come from the environment.
"""

import json
import os
import sys
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

from tutumstream.errors import ExchangeError
from tutumstream.net.agent import agent, endpoints, pool
from tutumstream.net.fast_agent import FastAgent
from tutumstream.net.fast_client import FastClient
from tutumstream.net.http import Answer, Exchanges, HttpClient
from tutumstream.net.pool import Pool
from tutumstream.net.proxy import Proxies
from tutumstream.net.tls import load_trust


def told(result: Any) -> object:
    """What came of an exchange."""
    if isinstance(result, Answer):
        return [result.status, len(result.body)]
    result.trap(ExchangeError)
    return str(result.value)


async def exchange(reactor: Any, wanted: list[dict[str, Any]]) -> None:
    proxies, trust = Proxies(os.environ), load_trust(os.environ)
    theirs, ours = pool(reactor), Pool(reactor, endpoints(reactor, proxies, trust))
    ways: dict[str, Exchanges] = {
        "treq": HttpClient(agent(reactor, proxies, trust, theirs), reactor),
        "agent": HttpClient(FastAgent(ours), reactor),
        "fast": FastClient(ours, reactor),
    }
    results = []
    for one in wanted:
        body = b"x" * one.get("size", 2)
        sent = [ways[one["way"]].exchange("POST", one["url"], {}, body) for _ in range(one.get("times", 1))]
        results.append(await gatherResults([answer.addBoth(told) for answer in sent]))
    await theirs.closeCachedConnections()
    await ours.close_idle()
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(exchange(reactor, json.loads(sys.argv[1]))))
