"""What an order changes in the specification of a swarm's service, as `GET /services/…` shows it. Pure."""

import json
from collections.abc import Mapping
from typing import Any


def _copy(service: Mapping[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(service["Spec"]))
    return copy


def scaled(service: Mapping[str, Any], replicas: int | None) -> dict[str, Any] | None:
    """The specification with another number of replicas; None where that changes nothing.

    Raises ValueError for a service that has no such number.
    """
    spec = _copy(service)
    if "Replicated" not in spec["Mode"]:
        raise ValueError("not replicated")
    if replicas is None or spec["Mode"]["Replicated"].get("Replicas") == replicas:
        return None
    spec["Mode"]["Replicated"]["Replicas"] = replicas
    return spec


def started(service: Mapping[str, Any]) -> dict[str, Any] | None:
    """The specification with as many replicas as it had before it was stopped, one at least."""
    before = (service.get("PreviousSpec") or {}).get("Mode", {}).get("Replicated", {}).get("Replicas")
    return scaled(service, before or 1)


def redeployed(service: Mapping[str, Any]) -> dict[str, Any]:
    """The specification that makes the swarm replace every task, one after the other as the service wants it."""
    spec = _copy(service)
    template = spec["TaskTemplate"]
    template["ForceUpdate"] = int(template.get("ForceUpdate", 0)) + 1
    return spec
