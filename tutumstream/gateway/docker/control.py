"""Orders carried out on an engine: what a verb of Tutum's means to Docker, and the action that tells how it went.

What becomes of the containers is not told from here: the registry sees it, as it sees everything.

A container or service that no swarm looks after is redeployed by a restart: what it was made of is known to Compose
alone.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol
from uuid import uuid4

import msgspec
from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.logger import Logger

from tutumstream.errors import DockerError
from tutumstream.gateway.docker.identity import resource_uri
from tutumstream.gateway.docker.resources import tutum_date
from tutumstream.gateway.docker.specifications import redeployed, scaled, started
from tutumstream.gateway.orders import check
from tutumstream.gateway.platform import Change, Order, OrderError, Resource, Taken

KEPT: Final = 200
"""Actions that are remembered, the oldest are forgotten first."""

NOTICED: Final = 2.0
"""Seconds after its end in which what an order did must show; until then the object is where the order leads it."""

IN_PROGRESS: Final = "In progress"
_MEANWHILE: Final = {
    "start": "Starting",
    "stop": "Stopping",
    "redeploy": "Redeploying",
    "scale": "Scaling",
    "terminate": "Terminating",
}


class Subject(msgspec.Struct, frozen=True):
    """What an order means at the engine.

    Attributes:
        containers: ids, and for each the seconds that it has to stop.
        services: ids of services of a swarm.
    """

    containers: Mapping[str, float] = msgspec.field(default_factory=dict)
    services: Sequence[str] = ()


class Writer(Protocol):
    """What `writer.DockerWriter` does."""

    def start(self, container: str) -> Deferred[None]: ...

    def stop(self, container: str, grace: float) -> Deferred[None]: ...

    def restart(self, container: str, grace: float) -> Deferred[None]: ...

    def remove(self, container: str) -> Deferred[None]: ...

    def remove_service(self, service: str) -> Deferred[None]: ...

    def service(self, service: str) -> Deferred[dict[str, Any]]: ...

    def update_service(self, service: str, version: int, spec: Mapping[str, Any]) -> Deferred[None]: ...


class Performed(msgspec.Struct, frozen=True):
    """One action. Times are seconds since 1970; `ended` is 0 while it goes on.

    Attributes:
        problems: why it failed, in words.
    """

    uuid: str
    order: Order
    started: float
    state: str = IN_PROGRESS
    ended: float = 0.0
    problems: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """In Tutum's words: `Service Stop`."""
        return f"{self.order.kind.capitalize()} {self.order.verb.capitalize()}"

    @property
    def uri(self) -> str:
        return resource_uri("action", self.uuid)

    @property
    def subject(self) -> str:
        return resource_uri(self.order.kind, self.order.uuid)

    def change(self, action: str) -> Change:
        """What is told of it."""
        return Change(type="action", action=action, state=self.state, resource_uri=self.uri, parents=(self.subject,))

    def resource(self) -> Resource:
        """It, in the form of protocol B4."""
        order = self.order
        return {
            "uuid": self.uuid,
            "resource_uri": self.uri,
            "object": self.subject,
            "action": self.name,
            "method": order.method,
            "path": order.path,
            "body": order.body,
            "ip": order.address,
            "location": "",
            "user_agent": order.user_agent,
            "state": self.state,
            "start_date": tutum_date(self.started),
            "end_date": tutum_date(self.ended),
            "is_user_action": True,
            "can_be_canceled": False,
            "can_be_retried": False,
        }


class _Step(NamedTuple):
    """The id of a container, or of a service of a swarm, and what is to be done to it. `overtakes`: it says what is to
    run there, so whatever else said so before does not count any more."""

    target: str
    do: Callable[[], Deferred[None]]
    overtakes: bool = True


class _Turns:
    """Who may do something to one target: one after the other. `last` is the latest action that says what is to run
    there, `left` the number of steps that are not over."""

    def __init__(self) -> None:
        self.lock = DeferredLock()
        self.last = ""
        self.left = 0


class Control:
    """Carries out orders.

    Args:
        subject: what an order is about, None where the engine has no such thing.
        show: an object as the REST API shows it.
        tell: tells a change.
        now: seconds since 1970.
    """

    log = Logger()

    def __init__(
        self,
        writer: Writer,
        subject: Callable[[str, str], Subject | None],
        show: Callable[[str, str], Resource | None],
        tell: Callable[[Sequence[Change]], object],
        now: Callable[[], float],
    ) -> None:
        self._writer = writer
        self._subject = subject
        self._show = show
        self._tell = tell
        self._now = now
        self._under_way: set[Deferred[None]] = set()
        self._latest: dict[tuple[str, str], tuple[str, object]] = {}
        self._turns: dict[str, _Turns] = {}
        self.actions: OrderedDict[str, Performed] = OrderedDict()

    def perform(self, order: Order) -> Deferred[Taken]:
        """Begin; the object is shown in the state that it comes to next.

        While one order for an object is under way, another is judged by that state: Docker does not say at once that
        it stops something.
        """
        return Deferred.fromCoroutine(self._take(order))

    def stop(self) -> None:
        """Wait for nothing any more; what the engine was asked to do, it does."""
        for one in tuple(self._under_way):
            one.cancel()

    async def _take(self, order: Order) -> Taken:
        subject, shown = self._subject(order.kind, order.uuid), self._show(order.kind, order.uuid)
        if subject is None or shown is None:
            raise OrderError(404, f"there is no {order.kind} {order.uuid!r}")
        if (meanwhile := self._meanwhile(order, shown)) is not None:
            check(order, {**shown, "state": meanwhile})
        if order.verb == "scale":
            self._check_scale(order, subject, shown)
        action = Performed(str(uuid4()), order, self._now())
        self._keep(action, "create")
        steps = self._steps(order, subject)
        if steps:
            self._latest[order.kind, order.uuid] = (action.uuid, shown["state"])
        for step in steps:
            turns = self._turns.setdefault(step.target, _Turns())
            turns.left += 1
            if step.overtakes:
                turns.last = action.uuid
        doing = Deferred.fromCoroutine(self._do(action, steps))
        if not doing.called:
            self._under_way.add(doing)
            doing.addBoth(lambda _: self._under_way.discard(doing))
        return Taken({**shown, "state": _MEANWHILE[order.verb]}, action.uri)

    def _meanwhile(self, order: Order, shown: Resource) -> str | None:
        """The state that an order before this one leads to, where that does not show yet."""
        uuid, before = self._latest.get((order.kind, order.uuid), ("", None))
        action = self.actions.get(uuid)
        if action is None:
            return None
        begun = action.state == "Success" and self._now() < action.ended + NOTICED
        if action.state == IN_PROGRESS or (begun and shown["state"] == before):
            return _MEANWHILE[action.order.verb]
        del self._latest[order.kind, order.uuid]
        return None

    @staticmethod
    def _check_scale(order: Order, subject: Subject, shown: Resource) -> None:
        if len(subject.services) == 1:
            return
        # Clients ask for `scale` once more after they have set the number: that asks for nothing new.
        if order.target not in (None, shown.get("target_num_containers")):
            raise OrderError(405, "only services of a swarm can be scaled: Docker alone does not know how")

    async def _do(self, action: Performed, steps: Sequence[_Step]) -> None:
        problems = []
        overtaken = False
        for step in steps:
            try:
                overtaken |= not await self._in_turn(action, step)
            except CancelledError:
                self.log.warn(
                    "the gateway stops before all of {kind} {uuid} was asked to {verb}: give the order again",
                    kind=action.order.kind,
                    uuid=action.order.uuid,
                    verb=action.order.verb,
                )
                return
            except DockerError as problem:
                problems.append(problem)
            except Exception:
                self.log.failure("An order failed by a bug")
                problems.append(DockerError("", "a bug, see the log"))
        for reason in problems:
            self.log.warn(
                "{kind} {uuid} could not be asked to {verb}: {problem}",
                kind=action.order.kind,
                uuid=action.order.uuid,
                verb=action.order.verb,
                problem=reason,
            )
        ended = msgspec.structs.replace(
            action,
            state="Failed" if problems else "Canceled" if overtaken else "Success",
            ended=self._now(),
            problems=tuple(str(problem) for problem in problems),
        )
        self._keep(ended, "update")

    async def _in_turn(self, action: Performed, step: _Step) -> bool:
        """Do it once what is being done to its target is over; False, and nothing done, if a later order overtook it.

        Else a restart that began before a stop would start again what was stopped.
        """
        turns = self._turns[step.target]
        await turns.lock.acquire()
        try:
            if step.overtakes and turns.last != action.uuid:
                return False
            await step.do()
            return True
        finally:
            turns.left -= 1
            if not turns.left:
                del self._turns[step.target]
            turns.lock.release()

    def _steps(self, order: Order, subject: Subject) -> Sequence[_Step]:
        """What is to be done, one after the other."""
        writer, verb = self._writer, order.verb
        if verb == "scale" and order.target is None:
            return ()
        of_container: Mapping[str, Callable[[str, float], Deferred[None]]] = {
            "start": lambda one, _: writer.start(one),
            "stop": writer.stop,
            "redeploy": writer.restart,
            "terminate": lambda one, _: writer.remove(one),
        }
        of_service: Mapping[str, Callable[[str], Deferred[None]]] = {
            "start": lambda one: self._change(one, started),
            "stop": lambda one: self._change(one, lambda service: scaled(service, 0)),
            "redeploy": lambda one: self._change(one, redeployed),
            "scale": lambda one: self._change(one, lambda service: scaled(service, order.target)),
            "terminate": writer.remove_service,
        }
        # A swarm's service that is redeployed keeps its number of replicas, be it 0.
        overtakes = verb != "redeploy"
        steps = [_Step(service, partial(of_service[verb], service), overtakes) for service in subject.services]
        if verb != "scale":
            steps += [_Step(one, partial(of_container[verb], one, grace)) for one, grace in subject.containers.items()]
        return steps

    def _change(self, service: str, change: Callable[[Mapping[str, Any]], dict[str, Any] | None]) -> Deferred[None]:
        async def do() -> None:
            found = await self._writer.service(service)
            try:
                spec, version = change(found), int(found["Version"]["Index"])
            except (KeyError, TypeError, ValueError, AttributeError) as problem:
                raise DockerError("", "the service has no shape that is known here") from problem
            if spec is not None:
                await self._writer.update_service(service, version, spec)

        return Deferred.fromCoroutine(do())

    def _keep(self, action: Performed, what: str) -> None:
        self.actions[action.uuid] = action
        while len(self.actions) > KEPT:
            _, old = self.actions.popitem(last=False)
            if self._latest.get((old.order.kind, old.order.uuid), ("", None))[0] == old.uuid:
                del self._latest[old.order.kind, old.order.uuid]
        self._tell([action.change(what)])
