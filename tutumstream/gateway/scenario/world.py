"""The scenario's world: all objects, and the promise that what is told is what is there.

Whoever changes an object gives it here. The states that follow from it are worked out and stored first; only then are
the changes told, the cause before its consequences. So a client that looks up what it was just told sees just that.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar, cast

from tutumstream.gateway.platform import KINDS, Change
from tutumstream.gateway.scenario.folds import nodecluster_state, service_state, stack_state
from tutumstream.gateway.scenario.objects import (
    Action,
    Container,
    Node,
    NodeCluster,
    Object,
    Service,
    Stack,
    uri,
)

ACTIONS_KEPT: Final = 25
"""Older actions are forgotten without an event, as a log is."""

_O = TypeVar("_O", bound=Object)

_Whole = Service | Stack | NodeCluster
"""What has parts; in this order, states follow from states."""


class World:
    """All objects by kind and uuid, in the order of their creation.

    Args:
        tell: hears every change.
    """

    def __init__(self, tell: Callable[[Change], None]) -> None:
        self._tell = tell
        self._objects: dict[str, dict[str, Object]] = {kind: {} for kind in KINDS}

    def all(self, kind: type[_O]) -> list[_O]:
        """All objects of a class."""
        return cast(list[_O], list(self._objects[kind.kind].values()))

    def get(self, kind: type[_O], uuid: str) -> _O:
        """One object; KeyError where there is none."""
        return cast(_O, self._objects[kind.kind][uuid])

    def find(self, kind: str, uuid: str) -> Object | None:
        """One object by its kind's name, None where there is none."""
        return self._objects.get(kind, {}).get(uuid)

    def kind(self, kind: str) -> list[Object]:
        """All objects of a kind by its name; none of an unknown one."""
        return list(self._objects.get(kind, {}).values())

    def services(self, stack: Stack) -> list[Service]:
        """A stack's services."""
        return [one for one in self.all(Service) if one.stack == stack.uuid]

    def containers(self, service: Service) -> list[Container]:
        """A service's containers, terminated ones too."""
        return [one for one in self.all(Container) if one.service == service.uuid]

    def nodes(self, cluster: NodeCluster) -> list[Node]:
        """A nodecluster's nodes."""
        return [one for one in self.all(Node) if one.cluster == cluster.uuid]

    def furnish(self, *objects: Object) -> None:
        """Put objects there that were there before anybody listened."""
        self._store(objects)

    def put(self, *objects: Object) -> None:
        """Create or replace objects, and tell what changed: the new ones, and those with another state.

        All of them are replaced before what follows is worked out, so that no state in between is ever told.
        """
        self._tell_all(self._store(objects))

    def remove(self, one: Object) -> None:
        """Forget an object and tell so."""
        gone = self._change(one, "delete", self._parents(one))
        whole = self._whole(one)
        del self._objects[one.kind][one.uuid]
        self._tell_all([gone, *(self._store([whole]) if whole else ())])

    def _tell_all(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self._tell(change)

    def _store(self, objects: Sequence[Object]) -> list[Change]:
        """Replace objects, settle what they are parts of, and say what became of them all."""
        before: dict[tuple[str, str], str | None] = {}
        for one in objects:
            self._replace(one, before)
        for kind in ("service", "stack", "nodecluster"):
            touched = [self._objects[name][uuid] for name, uuid in before]
            wholes = {
                one.uuid: one
                for one in (*touched, *map(self._whole, touched))
                if isinstance(one, _Whole) and one.kind == kind
            }
            for whole in wholes.values():
                self._replace(self._settled(whole), before)
        told = [(self._objects[kind][uuid], state) for (kind, uuid), state in before.items()]
        self._forget_actions()
        return [
            self._change(one, "create" if state is None else "update", self._parents(one))
            for one, state in told
            if state != one.state
        ]

    def _replace(self, one: Object, before: dict[tuple[str, str], str | None]) -> None:
        known = self._objects[one.kind].get(one.uuid)
        before.setdefault((one.kind, one.uuid), known.state if known else None)
        self._objects[one.kind][one.uuid] = one

    def _settled(self, one: _Whole) -> _Whole:
        """The object with the state that its parts give it."""
        if isinstance(one, Service):
            containers = [part.state for part in self.containers(one)]
            return replace(one, state=service_state(one.doing, one.destroyed is not None, containers))
        if isinstance(one, Stack):
            services = [part.state for part in self.services(one)]
            return replace(one, state=stack_state(one.doing, one.destroyed is not None, services))
        return replace(one, state=nodecluster_state([part.state for part in self.nodes(one)]))

    def _whole(self, one: Object) -> Object | None:
        """What an object is a part of, None where nothing's state depends on it."""
        if isinstance(one, Container):
            return self.find("service", one.service)
        if isinstance(one, Service):
            return self.find("stack", one.stack)
        if isinstance(one, Node):
            return self.find("nodecluster", one.cluster)
        return None

    def _change(self, one: Object, action: str, parents: tuple[str, ...]) -> Change:
        return Change(
            type=one.kind, action=action, state=one.state, resource_uri=uri(one.kind, one.uuid), parents=parents
        )

    def _parents(self, one: Object) -> tuple[str, ...]:
        """In the order in which Tutum sent them (protocol A7)."""
        if isinstance(one, Container):
            service = self.get(Service, one.service)
            node = self.get(Node, one.node)
            return (
                uri("service", one.service),
                uri("node", one.node),
                uri("stack", service.stack),
                uri("nodecluster", node.cluster),
            )
        if isinstance(one, Service):
            return (uri("stack", one.stack),)
        if isinstance(one, Node):
            return (uri("nodecluster", one.cluster),)
        return (one.subject,) if isinstance(one, Action) else ()

    def _forget_actions(self) -> None:
        actions = self._objects["action"]
        while len(actions) > ACTIONS_KEPT:
            del actions[next(iter(actions))]
