"""What there is, and what was told about it. Pure: hints and snapshots in, changes out.

Docker's event stream can't be the truth: it repeats, reorders, and loses without a sign. So hints only say which
container to look at. A snapshot (the answer of inspect) is the truth, and a change is told only where a snapshot is
not what was told before; whatever was missed, doubled or late then does no harm. Two things a snapshot can't say come
from hints: that a container is being stopped, and how one ended that is gone before anybody could look.

Starts and ends are told from hints where no snapshot could say otherwise: a busy engine takes its time to answer, and
answers nobody about a container until it has tidied up after its death. It is looked at a little later then, which for
most that live but a moment is never; or at once, where somebody asks for the addresses and ports that no hint knows.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from tutumstream.docker_details import DockerDetails
from tutumstream.gateway.docker import folds, mishaps, runs
from tutumstream.gateway.docker.actions import RESTART, Actions
from tutumstream.gateway.docker.checks import Checks, is_unsettled
from tutumstream.gateway.docker.facts import Container, Engine, Hint
from tutumstream.gateway.docker.fates import Fates
from tutumstream.gateway.docker.gone import TERMINATED_AGE, TERMINATED_LIMIT, Gone
from tutumstream.gateway.docker.groups import Groups
from tutumstream.gateway.docker.identity import Place, derived, is_intermediate, is_task, place_of, resource_uri
from tutumstream.gateway.docker.known import Known
from tutumstream.gateway.docker.mishaps import Patience, Verdict
from tutumstream.gateway.docker.nodes import Node, Nodes
from tutumstream.gateway.docker.records import Records
from tutumstream.gateway.docker.runs import STOP_PATIENCE
from tutumstream.gateway.platform import Change

HEARSAY: Final = 2.0
"""Seconds for which the stream may still tell how a container ended that an answer already says is gone: two
connections keep no order between them."""

LEISURE: Final = 0.5
"""Seconds after which what was told from the stream is looked at: what is gone by then costs no look at all."""

_LOOK: Final = frozenset({"create", "start", "restart", "die", "stop", "rename", "update", "destroy", "cleanup"})


class Heard(NamedTuple):
    """What follows from a hint.

    Attributes:
        changes: to be told at once.
        look: whether to look at the container.
        final: whoever was asked before can't know of this; what he answers would only be wrong.
    """

    changes: list[Change]
    look: bool
    final: bool = False


class Registry:
    """The containers of one engine, its services and stacks, and itself as a node; of a swarm's manager, also those of
    the other nodes (`swarm.census` feeds them in).

    All times of arguments are seconds since 1970.

    Args:
        patience: when crashes are too many, and when they are over.
    """

    def __init__(self, endpoint: str, now: float, patience: Patience = Patience()) -> None:  # noqa: B008 -- frozen
        self.endpoint: Final = endpoint
        self.groups: Final = Groups()
        self.actions: Final = Actions()
        self.nodes: Final = Nodes(endpoint, now)
        self.containers: Final[dict[str, Known]] = {}
        self._by_uuid: Final[dict[str, str]] = {}
        self._gone: Final = Gone(self.containers)
        self._checks: Final = Checks(self.containers)
        self._fates: Final = Fates(self.containers, self._checks, self.groups.orders)
        self._records: Final = Records(self.containers, self._checks, patience)

    @property
    def node(self) -> Node:
        """The engine."""
        return self.nodes.own

    def find(self, uuid: str) -> Known | None:
        """A container by the uuid that Tutum's clients know it by."""
        return self.containers.get(self._by_uuid.get(uuid, ""))

    def unseen(self, kind: str, uuid: str = "") -> list[str]:
        """The ids of the running containers that an object, or all of a kind, is shown by, and nobody has seen yet."""
        return self._checks.unseen(kind, uuid)

    def alive(self) -> list[str]:
        """The ids of the engine's own containers that are not known to be gone."""
        return [key for key, known in self.containers.items() if not known.destroyed and not known.machine]

    def is_task(self, key: str) -> bool:
        """Whether a swarm made this container."""
        known = self.containers.get(key)
        return known is not None and is_task(known.container.labels)

    def hint(self, hint: Hint, now: float) -> Heard:
        """Take a line of the stream."""
        heard = self._hint(hint, now)
        return heard._replace(changes=list(self.actions.follow(heard.changes, now)))

    def _hint(self, hint: Hint, now: float) -> Heard:
        known = self.containers.get(hint.container)
        if known is not None and known.destroyed:
            return Heard([], False)
        if hint.action in ("connect", "disconnect"):
            return Heard([], known is not None and self._checks.networked(known, hint.action, now + LEISURE))
        if hint.action == "kill":
            return Heard(list(self._kill(known, hint, now)) if known else [], False)
        if known is None:
            # While it starts, Docker lets nobody look; what the hint says is enough to tell that it is there.
            changes = list(self._welcome(hint.born, now)) if hint.born else []
            if hint.born:
                self.containers[hint.container] = self.containers[hint.container].hear(hint, now, self.node.engine)
            return Heard(changes, hint.action in _LOOK)
        known = self.containers[hint.container] = known.hear(hint, now, self.node.engine)
        if hint.action == "start" and (begun := known.begun(hint)) is not None:
            # The first look may have been waiting for this start, and is worth having.
            return Heard(self._presume(known, begun, now), look=begun.bare, final=not begun.bare)
        if hint.action == "die" and (ended := known.ended_for_good()) is not None:
            return Heard(self._presume(known, ended, now), look=False, final=True)
        if hint.action == "destroy" and known.state in (folds.STOPPED, folds.TERMINATING):
            return Heard(list(self._vanish(known, now, hint.at)), look=False, final=True)
        if hint.action == "oom":
            record = mishaps.short_of_memory(known.record, hint.at, now, self._records.patience)
            self._records.remember(known, record)
        elif hint.action == "health_status":
            # Podman sends one for each probe, without a word of what it found.
            return Heard([], not hint.health or hint.health != known.record.health)
        if hint.action == "restart" and not known.restarts_itself(hint):
            return Heard(list(self.actions.done(RESTART, known.uri, hint.at)), True)
        return Heard([], hint.action in _LOOK)

    def _presume(self, known: Known, container: Container, now: float) -> list[Change]:
        """Tell at once what the stream says that it is now; there is time to look."""
        self._checks.doubt(container.id, now + LEISURE)
        if container.status == "running":
            known = msgspec.structs.replace(known, presumed=container.started)
        return list(self._update(known, container, now))

    def observe(self, key: str, seen: Container | None, now: float, machine: str = "") -> list[Change]:
        """Take the truth about a container: None where there is none of this id.

        Args:
            machine: the node of the swarm that it is on; "" for the engine itself.
        """
        return list(self.actions.follow(self._observe(key, seen, now, machine), now))

    def _observe(self, key: str, seen: Container | None, now: float, machine: str) -> list[Change]:
        known = self.containers.get(key)
        if known is not None and seen is not None and (running := known.overtaken(seen)) is not None:
            return list(self._update(known, running, now))
        self._checks.seen(key)
        if known is not None and known.destroyed:
            if seen is None:
                return []
            # Whoever said that it was gone was wrong.
            self._gone.remove(key)
            known = None
        if seen is None:
            return list(self._vanish(known, now)) if known is not None else []
        if is_intermediate(seen.image, seen.labels):
            return []
        if known is not None:
            known = known.confirmed(seen)
            seen = known.at_its_end(seen)
        return list(self._update(known, seen, now, machine))

    def describe_engine(self, engine: Engine, now: float) -> list[Change]:
        """Take what the engine says of itself; what only its swarm told is gone when it leaves that."""
        changes = list(self.nodes.describe(engine, now))
        return changes if self.nodes.cluster is not None else [*self.forget_swarm(now), *changes]

    def forget_swarm(self, now: float) -> list[Change]:
        """Nobody tells about a swarm any more."""
        changes: list[Change] = []
        for key in [key for key, known in self.containers.items() if known.machine and not known.destroyed]:
            changes += self.observe(key, None, now)
        for service in list(self.groups.orders):
            del self.groups.orders[service]
            changes += self.actions.follow(self.groups.settle(service, now), now)
        return changes

    def sentence(self, fates: Mapping[str, str], restless: Collection[str], now: float) -> Iterator[Change]:
        """Take what a swarm says of the ends of tasks: see `Fates.take`."""
        for known in self._fates.take(fates, restless):
            yield from self.actions.follow(list(self._update(known, known.container, now)), now)

    def conclude(self, key: str, *, wanted: bool) -> list[Change]:
        """A swarm puts nothing more in the place of a container that ended. `wanted`: its service still is."""
        known = self.containers.get(key)
        return list(self._add(known, self._records.conclude(known, wanted=wanted))) if known is not None else []

    def take_stock(self, now: float) -> None:
        """Nothing that is there now is news."""
        self._records.take_stock(now)

    def recall(self, known: Known, now: float) -> None:
        """Go on from what was told of a container before a restart; those that are gone in the order of their ends."""
        key = known.container.id
        self.containers[key], self._by_uuid[known.uuid] = known, key
        self._records.slots.recall(known)
        if known.destroyed:
            self._gone.add(key)
        else:
            self.groups.recall_member(known.place.service, key, known.member)
            if not (known.container.started or known.container.error or is_task(known.container.labels)):
                self.actions.expect(resource_uri("service", known.place.service), known.uri)
            self._checks.resume(known, now)

    def overdue(self, now: float) -> list[str]:
        """The containers that are to be looked at again without any hint."""
        return self._checks.overdue(now)

    def purge(self, now: float, most: int = TERMINATED_LIMIT) -> None:
        """Forget what ended long ago, and the oldest containers that ended where those are more than `most`."""
        for known in self._gone.expire(now, most):
            del self.containers[known.container.id], self._by_uuid[known.uuid]
            self._records.slots.forget(known)
        self.groups.purge(now - TERMINATED_AGE)
        self.nodes.purge(now - TERMINATED_AGE)

    def parents(self, known: Known) -> tuple[str, ...]:
        """A container's parents in the order of the one real event that was kept (protocol A5, A7)."""
        node, place = self.nodes.at(known.machine), known.place
        stack = (resource_uri("stack", place.stack),) if place.stack else ()
        return (resource_uri("service", place.service), node.uri, *stack, *self.nodes.parents(node))

    def _place(self, container: Container) -> Place:
        cluster = self.nodes.cluster.id if self.nodes.cluster else ""
        return self.groups.ordered(place_of(container, self.endpoint, cluster))

    def _kill(self, known: Known, hint: Hint, now: float) -> Iterator[Change]:
        """`kill` is not death: a process may ignore what it was sent, so this state ends at a deadline."""
        container = known.container
        if hint.at <= max(container.started, known.killed):
            return
        known = self.containers[container.id] = known.struck(hint)
        if known.strike is None or known.strike.at != hint.at or known.killed != hint.at or not known.runs:
            return
        deadline = now + container.stop_timeout + STOP_PATIENCE
        self._checks.at(deadline, container.id)
        known = self.containers[container.id] = msgspec.structs.replace(known, deadline=deadline)
        if known.state != folds.STARTING:
            yield from self._tell(known, folds.STOPPING, now, mishaps.aside(known.record))

    def _welcome(self, container: Container, now: float, machine: str = "") -> Iterator[Change]:
        known = Known(
            uuid=derived("container", container.id),
            container=container,
            place=self._place(container),
            state="",
            machine=machine,
        )
        known = self._records.slots.fill(known)
        self._by_uuid[known.uuid] = container.id
        yield from self._tell(known, folds.STARTING, now, DockerDetails(event="create"))

    def _update(
        self, known: Known | None, seen: Container, now: float, machine: str = "", *, certain: bool = False
    ) -> Iterator[Change]:
        if known is None:
            yield from self._welcome(msgspec.structs.replace(seen, started=0), now, machine)
            known = self.containers[seen.id]
        seen = self._fates.of(known, seen)
        state = folds.container_state(seen, now)
        if state == folds.STOPPED and not certain and (waiting := self._fates.waits(known, seen, now)) is not None:
            known, state = waiting, folds.STOPPING
        if state == folds.RUNNING and known.killed > seen.started and now < known.deadline:
            state = folds.STOPPING
        steps = folds.path(known.state, known.container.started, seen, state)
        before, known = known, msgspec.structs.replace(known, container=seen, place=self._place(seen))
        yield from self._move(before, known, now)
        for place, step in enumerate(steps):
            told = self._records.judge(self.containers[seen.id], before.container, step, steps[place + 1 :], now)
            yield from self._tell(self.containers[seen.id], step, now, told or DockerDetails())
        yield from self._calm(self.containers[seen.id], seen if steps else before.container, now)

    def _calm(self, known: Known, before: Container, now: float) -> Iterator[Change]:
        """What there is to tell of a container whose state is known; `before` as it was when that was told."""
        told = runs.calm(known, before, now, self._records.patience)
        if told.record != known.record:
            yield from self._add(known, told)
            # One thing at a time: its health first, then whether it is well again.
            yield from self._calm(self.containers[known.container.id], known.container, now)

    def _add(self, known: Known, told: Verdict) -> Iterator[Change]:
        known = self._records.remember(known, told.record)
        if told.details is not None:
            yield self._change(known, "update", told.details)

    def _move(self, old: Known, new: Known, now: float) -> Iterator[Change]:
        """A container was renamed: it goes to another service, or Compose begins to exchange it."""
        self.containers[new.container.id] = new
        if (old.place, old.member) == (new.place, new.member):
            return
        yield from self.groups.place(new.place, new.container.id, new.member, now)
        if old.place.service == new.place.service:
            yield from self.groups.settle(new.place.service, now)
            return
        yield self._change(new, "update", mishaps.aside(new.record, "rename"))
        yield from self.groups.settle(new.place.service, now)
        self.groups.remove(old.place.service, old.container.id)
        yield from self.groups.settle(old.place.service, now)

    def _vanish(self, known: Known, now: float, at: int = 0) -> Iterator[Change]:
        """It is gone, since `at` by the engine's clock; 0 where it was only found to be."""
        key, ended = known.container.id, known.ended()
        if ended is None and known.runs and now < known.heard + HEARSAY:
            self._checks.doubt(key, known.heard + HEARSAY)
            return
        if ended is not None:
            yield from self._update(known, ended, now, certain=True)
            known = self.containers[key]
        self._checks.seen(key)
        known = msgspec.structs.replace(known, state=folds.TERMINATED, destroyed=now)
        self.containers[key] = known
        self._gone.add(key)
        self.groups.remove(known.place.service, key)
        yield self._change(known, "delete", runs.removed(known, at))
        yield from self.groups.settle(known.place.service, now)

    def _tell(self, known: Known, state: str, now: float, details: DockerDetails) -> Iterator[Change]:
        key, new = known.container.id, not known.state
        if state == known.state:
            return
        known = self.containers[key] = msgspec.structs.replace(known, state=state)
        if is_unsettled(known):
            self._checks.often(key, now)
        yield from self.groups.place(known.place, key, known.member, now)
        yield self._change(known, "create" if new else "update", details)
        yield from self.groups.settle(known.place.service, now)

    def _change(self, known: Known, action: str, details: DockerDetails) -> Change:
        return Change(
            type="container",
            action=action,
            state=known.state,
            resource_uri=known.uri,
            parents=self.parents(known),
            docker=runs.named(details, known, self.nodes.at(known.machine).name),
        )
