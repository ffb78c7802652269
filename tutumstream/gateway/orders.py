"""Which request is an order, and which order an object's state allows (protocol A6, B6). Pure."""

from collections.abc import Mapping
from typing import Final

import msgspec

from tutumstream.gateway.platform import Order, OrderError, Resource, Verb

TARGET_LIMIT: Final = 1000
"""Containers of one service: beyond that it is a slip of the finger."""

_ORDERS: Final[Mapping[str, Verb]] = {"start": "start", "stop": "stop", "redeploy": "redeploy", "scale": "scale"}

ALLOWED: Final[Mapping[str, Mapping[str, frozenset[Verb]]]] = {
    "stack": {
        "Not Running": frozenset({"start", "terminate"}),
        "Running": frozenset({"stop", "redeploy", "terminate"}),
        "Partly running": frozenset({"start", "stop", "redeploy", "terminate"}),
        "Stopped": frozenset({"start", "redeploy", "terminate"}),
        "Starting": frozenset({"stop", "terminate"}),
        "Redeploying": frozenset({"stop", "terminate"}),
    },
    "service": {
        "Not running": frozenset({"start", "stop", "redeploy", "scale", "terminate"}),
        "Running": frozenset({"stop", "redeploy", "scale", "terminate"}),
        "Partly running": frozenset({"start", "stop", "redeploy", "scale", "terminate"}),
        "Stopped": frozenset({"start", "redeploy", "scale", "terminate"}),
        "Scaling": frozenset({"scale", "stop", "terminate"}),
        "Starting": frozenset({"stop", "scale", "terminate"}),
        # An update of a swarm may never come to an end by itself.
        "Redeploying": frozenset({"stop", "scale", "terminate"}),
    },
    "container": {
        "Running": frozenset({"stop", "redeploy", "terminate"}),
        "Stopped": frozenset({"start", "redeploy", "terminate"}),
        "Starting": frozenset({"stop", "terminate"}),
    },
}
"""Tutum's own table, and what Docker can do besides where Tutum had nobody ask for it."""


class _Changes(msgspec.Struct, forbid_unknown_fields=True):
    target_num_containers: int | None = None


def order(method: str, kind: str, uuid: str, rest: str, body: bytes, **said: str) -> Order:
    """The order that a request is.

    Args:
        said: path, address and user agent, for the action.

    Raises:
        OrderError: it is none.
    """
    if kind not in ALLOWED or not uuid:
        raise OrderError(405, "only stacks, services and containers that are there can be changed through this gateway")
    target = None
    if method == "DELETE" and not rest:
        verb: Verb = "terminate"
    elif method == "PATCH" and not rest and kind == "service":
        verb, target = "scale", _target(body)
        if target is None:
            raise OrderError(400, "only target_num_containers can be changed through this gateway")
    elif method == "POST" and rest in _ORDERS and (rest != "scale" or kind == "service"):
        verb = _ORDERS[rest]
        target = _target(body) if verb == "scale" else None
    else:
        raise OrderError(405, f"{method} {rest or kind} is not implemented by this gateway")
    text = body[:1000].decode("utf-8", "replace")
    return Order(verb=verb, kind=kind, uuid=uuid, target=target, method=method, body=text, **said)


def check(order: Order, resource: Resource | None) -> None:
    """Raise `OrderError` where there is no such object, or its state does not allow this."""
    if resource is None:
        raise OrderError(404, f"there is no {order.kind} {order.uuid!r}")
    state = str(resource["state"])
    # What Docker waits to start again has not stopped for good.
    goes_on = state == "Stopped" and (resource.get("docker") or {}).get("restarting") is True
    if order.verb not in ALLOWED[order.kind].get(state, frozenset()) and not (goes_on and order.verb == "stop"):
        raise OrderError(409, f"a {order.kind} that is {state} can't be asked to {order.verb}")


def _target(body: bytes) -> int | None:
    try:
        found = msgspec.json.decode(body or b"{}", type=_Changes).target_num_containers
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise OrderError(400, "the body must be JSON, and can change target_num_containers (a number) only") from None
    if found is not None and not 0 <= found <= TARGET_LIMIT:
        raise OrderError(400, f"target_num_containers must be from 0 to {TARGET_LIMIT}")
    return found
