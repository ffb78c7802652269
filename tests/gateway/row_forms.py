"""The form of the rows that a gateway keeps, and samples of them: `forms/VERSION.json` is what was kept in that form.

    python -m tests.gateway.row_forms

writes that of a new VERSION. What is there is never written again: other gateways have kept such rows.
"""

from pathlib import Path
from typing import Any, Final

import msgspec

from tests.gateway.docker.model import NODE, SECOND, START, Told, compose, event
from tests.gateway.docker.test_memory import ENDPOINT, HOST, LATER
from tutumstream.docker_details import DockerDetails
from tutumstream.gateway.clientele import Clientele
from tutumstream.gateway.docker.memory import KINDS, EngineMemory
from tutumstream.gateway.docker.swarm.facts import Machine, Ordered, Swarm, Task, Update
from tutumstream.gateway.events import Told as Missed
from tutumstream.gateway.platform import Change
from tutumstream.gateway.returning import Returning, Seat
from tutumstream.gateway.saving import Lasting
from tutumstream.gateway.state_file import VERSION

FORMS: Final = Path(__file__).with_name("forms")
TYPES: Final = {**KINDS, "seat": Seat, "missed": Missed}


def form() -> Any:
    """Every kind of row, and what its fields are; not what is said of them."""
    kinds, parts = msgspec.json.schema_components(list(TYPES.values()))
    return _bare({"kinds": dict(zip(TYPES, kinds, strict=True)), "parts": parts})


def _bare(schema: Any) -> Any:
    if isinstance(schema, dict):
        said = {name for name in ("title", "description") if isinstance(schema.get(name), str)}
        return {name: _bare(value) for name, value in schema.items() if name not in said}
    return [_bare(value) for value in schema] if isinstance(schema, list | tuple) else schema


def sample() -> dict[str, list[list[Any]]]:
    """Rows of every kind, by part: `[kind, key, value]`."""
    told = _eventful()
    engine = EngineMemory(ENDPOINT, HOST, told.registry, lambda: LATER)
    engine.begun = True
    returning: Returning[Missed] = Returning()
    returning.sent_away(["alice@192.0.2.1"], 0.0)
    details = DockerDetails(event="crash", name="web-1", exit_code=3, expected=False, news=True)
    uri = "/api/v1/container/0b6e3a5e-7d0b-4f63-8d3e-3c5c2f0f8a11/"
    change = Change(
        type="container",
        action="update",
        state="Stopped",
        resource_uri=uri,
        parents=("/api/v1/node/x/",),
        docker=details,
    )
    returning.miss(Missed(change, "u", START))
    return {part.name: _rows(part) for part in (engine, Clientele(returning, lambda: ["bob@192.0.2.1"], float))}


def _rows(part: Lasting) -> list[list[Any]]:
    return [[kind, key, msgspec.json.decode(part.written(value))] for (kind, key), value in (part.rows() or {}).items()]


def _eventful() -> Told:
    """One that crashed, one that is being stopped, one that is gone; a swarm that lost a node and updates a service."""
    told = Told()
    lines = [
        event(action, number, START + number, name=f"web{number}", **compose("web"))
        for number in (1, 2, 3)
        for action in ("create", "start")
    ]
    lines += [
        event("die", 1, START + 9, name="web1", exitCode="3", **compose("web")),
        event("kill", 2, START + 9, name="web2", signal="15", **compose("web")),
        event("destroy", 3, START + 9, name="web3", **compose("web")),
    ]
    told.replay(iter(lines))
    told.join()
    here, there = Machine(id=NODE, hostname="vm", state="ready"), Machine(id="t" * 25, hostname="there", state="ready")
    gone = Machine(id="g" * 25, hostname="gone", state="ready")
    update = Update(state="updating", started=int(START * SECOND))
    service = Ordered(id="s" * 25, name="shop_web", stack="shop", replicas=2, created=int(START * SECOND))
    task = Task(
        id="k" * 25,
        service=service.id,
        node=there.id,
        slot=1,
        state="running",
        desired="running",
        container=f"{7:064x}",
        created=int(START * SECOND),
        at=int(START * SECOND),
    )
    told.count(Swarm(machines=(here, there, gone), services=(service,), tasks=(task,)), START + 10)
    updated = msgspec.structs.replace(service, update=update)
    told.count(Swarm(machines=(here, there), services=(updated,), tasks=(task,)), START + 11)
    return told


def kept(version: int) -> Any:
    """What was kept in a form: its `form`, and `rows` as a sample has them."""
    return msgspec.json.decode((FORMS / f"{version}.json").read_bytes())


if __name__ == "__main__":
    with (FORMS / f"{VERSION}.json").open("xb") as file:
        file.write(msgspec.json.format(msgspec.json.encode({"form": form(), "rows": sample()}), indent=1) + b"\n")
