"""Run as a process: records events as fast as it can, and prints the number of each that it was promised.

`python -m tests.acceptance.journal_writer FILE FIRST` goes on from event number FIRST until it is killed. Each
event has two deliveries.
"""

import os
import sys
from collections.abc import Awaitable

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tutumstream.event import Event
from tutumstream.journal.sql import SqlJournal
from tutumstream.journal.worker import ThreadWorker
from tutumstream.routing.delivery import Delivery

IN_FLIGHT = 50


async def write(journal: SqlJournal, start: int, step: int) -> None:
    """One of many who write at the same time: every `step`th event."""
    number = start
    while True:
        event = Event(id=f"e{number}", received_at=float(number), type="container", message="x" * (number % 3000))
        await journal.record(event, [Delivery("slack", "r", "", "k"), Delivery("pagerduty", "r", "", "k")])
        os.write(1, b"%d\n" % number)
        number += step


async def main(place: str, first: int) -> None:
    """Open, and write until the end."""
    journal = SqlJournal(place, ThreadWorker(reactor), reactor)
    await journal.open()
    os.write(1, b"open\n")
    for n in range(IN_FLIGHT):
        run(write(journal, first + n, IN_FLIGHT))


def run(work: Awaitable[None]) -> None:
    """Whatever goes wrong ends the process."""
    Deferred.fromCoroutine(work).addErrback(stop)


def stop(failure: Failure) -> None:
    """Say what went wrong."""
    os.write(2, f"{failure.getErrorMessage()}\n".encode())
    os._exit(1)


if __name__ == "__main__":
    reactor.callWhenRunning(lambda: run(main(sys.argv[1], int(sys.argv[2]))))
    reactor.run()
