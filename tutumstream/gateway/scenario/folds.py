"""How the state of a whole follows from the states of its parts. Pure.

The words are Tutum's (protocol A6); the rules are those that its recorded stories show. What a user asked for, as long
as it is being done (`doing`), hides what the parts would say.
"""

from collections.abc import Sequence

UP = frozenset({"Running", "Scaling", "Redeploying"})


def service_state(doing: str, destroyed: bool, containers: Sequence[str]) -> str:
    """A service's state, from those of its containers."""
    if destroyed:
        return "Terminated"
    if doing:
        return doing
    live = {state for state in containers if state != "Terminated"}
    if not live:
        return "Not running"
    if len(live) == 1:
        return live.pop()
    if "Running" in live:
        return "Partly running"
    return "Starting" if "Starting" in live else "Stopping"


def stack_state(doing: str, destroyed: bool, services: Sequence[str]) -> str:
    """A stack's state, from those of its services. A service that is scaled or redeployed counts as running."""
    if destroyed:
        return "Terminated"
    if doing:
        return doing
    live = {"Running" if state in UP else state for state in services if state != "Terminated"}
    if not live or live == {"Not running"}:
        return "Not Running"
    if len(live) == 1:
        return live.pop()
    if live & {"Running", "Partly running"}:
        return "Partly running"
    return "Starting" if "Starting" in live else "Stopping"


def nodecluster_state(nodes: Sequence[str]) -> str:
    """A nodecluster's state, from those of its nodes."""
    live = [state for state in nodes if state != "Terminated"]
    if not live:
        return "Empty cluster"
    if all(state == "Deployed" for state in live):
        return "Deployed"
    return "Deploying" if all(state == "Deploying" for state in live) else "Partly deployed"
