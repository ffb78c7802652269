"""What is kept about each container."""

from typing import Final, NamedTuple

import msgspec

from tutumstream.gateway.docker import folds
from tutumstream.gateway.docker.endings import NOT_ITS_OWN
from tutumstream.gateway.docker.facts import Container, Engine, Hint
from tutumstream.gateway.docker.groups import Member
from tutumstream.gateway.docker.identity import Place, is_being_replaced, is_task, resource_uri
from tutumstream.gateway.docker.mishaps import FRESH, Record


class Death(NamedTuple):
    """What a `die` told.

    Attributes:
        at: nanoseconds by the engine's clock.
        exit_code: None where a label may have overwritten it.
        silent: if somebody stopped it, that was not said.
    """

    at: int
    exit_code: int | None
    silent: bool = False


_SECOND: Final = 1_000_000_000
_LATE: Final = 10 * _SECOND
"""Within this of the time of a start an engine tells of it, and of an end a restart policy answers it, however busy."""

_LETHAL: Final = frozenset({2, 3, 9, 15})


class Strike(NamedTuple):
    """A signal that somebody sent, whichever it was."""

    at: int
    signal: int


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """One container and what was told about it.

    Attributes:
        state: Tutum's, as told last.
        killed: when it was last sent a signal to stop, by the engine's clock; 0 for never.
        deadline: if it still runs then, it was not being stopped.
        strike: the signal that it was sent last, to stop or for whatever else.
        death: its last `die`, as the stream told it.
        record: what went wrong with it, and what was told of that.
        destroyed: when it was seen to be gone; 0 while it is there.
        heard: when the stream last said something of it that was not its end; 0 once it told that.
        machine: the swarm's id of the node that it is on; "" for the engine itself.
        altered: it was renamed, or updated, and not looked at since.
        presumed: the `start` by which alone it was told as running, by the engine's clock; 0 once that was seen.
    """

    uuid: str
    container: Container
    place: Place
    state: str
    killed: int = 0
    deadline: float = 0.0
    strike: Strike | None = None
    death: Death | None = None
    record: Record = FRESH
    destroyed: float = 0.0
    heard: float = 0.0
    machine: str = ""
    altered: bool = False
    presumed: int = 0

    def struck(self, hint: Hint) -> "Known":
        """The same, after a `kill`. A label may have overwritten the signal, and Podman names none: then it counts as
        one to stop, if an end follows."""
        if hint.signal is None or "signal" in self.container.labels:
            return msgspec.structs.replace(self, killed=hint.at)
        strike = Strike(hint.at, hint.signal)
        if hint.signal in _LETHAL or hint.signal == self.container.stop_signal:
            return msgspec.structs.replace(self, strike=strike, killed=hint.at)
        return msgspec.structs.replace(self, strike=strike)

    def hear(self, hint: Hint, now: float, engine: Engine) -> "Known":
        """The same, after the stream of this engine spoke of it."""
        known = msgspec.structs.replace(self, heard=0.0 if hint.action == "destroy" else now)
        if hint.action == "die" and (known.death is None or known.death.at < hint.at):
            code = None if "exitCode" in known.container.labels else hint.exit_code
            return msgspec.structs.replace(known, death=Death(hint.at, code, not engine.tells_stops))
        if hint.action == "health_status" and hint.health:
            return msgspec.structs.replace(known, container=msgspec.structs.replace(self.container, health=hint.health))
        if hint.action in ("rename", "update"):
            return msgspec.structs.replace(known, altered=True)
        if hint.action == "stop" and hint.at > known.killed:
            # Docker 29 and Podman say so before the death; others after it, but then `kill` came before.
            return msgspec.structs.replace(known, killed=hint.at)
        return known

    @property
    def runs(self) -> bool:
        """Its end has not been told."""
        return self.state in (folds.STARTING, folds.RUNNING, folds.STOPPING)

    @property
    def waits(self) -> bool:
        """It has ended, and how is not certain yet."""
        return self.state == folds.STOPPING and self.container.status == "exited"

    def begun(self, hint: Hint) -> Container | None:
        """Its container as this `start` says that it runs, where that is still to be told and a look could tell no more
        of it but addresses and ports."""
        container, dead_at = self.container, self.death.at if self.death is not None else 0
        if self.state not in (folds.STARTING, folds.STOPPED) or self.machine or self.altered or container.probed:
            return None
        # Whole seconds come from an engine that says no more: what started then may have started before.
        if hint.at <= max(container.started, container.finished, dead_at) or hint.at % _SECOND == 0:
            return None
        # An answer may overtake the stream: then this is the start of the run that it saw the end of.
        if container.started and (
            container.bare or (hint.at < container.started + _LATE and dead_at <= container.started)
        ):
            return None
        return msgspec.structs.replace(
            container,
            status="running",
            error="",
            exit_code=None,
            oom_killed=False,
            # Whoever else starts it makes Docker count anew.
            restart_count=container.restart_count if container.status == "restarting" else 0,
            started=hint.at,
        )

    def overtaken(self, seen: Container) -> Container | None:
        """What the first look found, running all the same: its start was told while the answer was on its way. None
        where the answer is newer."""
        if self.destroyed or not self.presumed or not self.container.bare or seen.started:
            return None
        return msgspec.structs.replace(seen, status="running", started=self.presumed)

    def confirmed(self, seen: Container) -> "Known":
        """The same, now that it was looked at: an engine tells of a start a moment after it took the time of it."""
        if not self.presumed or seen.started > self.presumed:
            return msgspec.structs.replace(self, altered=False, presumed=0)
        since = seen.started if self.record.since == self.presumed else self.record.since
        return msgspec.structs.replace(
            self,
            container=msgspec.structs.replace(self.container, started=seen.started),
            record=msgspec.structs.replace(self.record, since=since),
            altered=False,
            presumed=0,
        )

    def at_its_end(self, seen: Container) -> Container:
        """What a look found, with the health that it had as long as it ran."""
        if seen.status not in ("exited", "dead") or seen.started != self.container.started:
            return seen
        return msgspec.structs.replace(seen, health=self.container.health)

    def ended(self) -> Container | None:
        """Its container as the stream says that it ended, where that is still to be told."""
        container, death = self.container, self.death
        if death is None or not self.runs or death.at <= container.started:
            return None
        return msgspec.structs.replace(
            container,
            status="exited",
            started=container.started or death.at,
            finished=death.at,
            exit_code=death.exit_code,
            private_ip=None,
            ports=tuple(msgspec.structs.replace(port, outer_port=None) for port in container.ports),
        )

    def ended_for_good(self) -> Container | None:
        """The same, where a look could tell no more about it: it is known when it started, Docker won't start it again,
        and the exit code is to be believed."""
        container, death = self.container, self.death
        if not container.started or container.bare or self.altered or container.options.autorestart != "OFF":
            return None
        if container.probed and is_task(container.labels):
            # A swarm may have ended it because it was ill.
            return None
        if death is None or death.exit_code is None or (death.silent and death.exit_code in NOT_ITS_OWN):
            return None
        return self.ended()

    def restarts_itself(self, hint: Hint) -> bool:
        """This `restart` is the work of its restart policy, where an engine says so of that: soon after the end."""
        container, death = self.container, self.death
        if death is None or not death.silent:
            return False
        # A look may have seen already what came after it.
        ended = death.at > container.started or hint.at <= container.started
        without_policy = container.options.autorestart == "OFF" and not container.bare
        return ended and hint.at < death.at + (_SECOND if without_policy else _LATE)

    @property
    def uri(self) -> str:
        return resource_uri("container", self.uuid)

    @property
    def member(self) -> Member:
        """What its service needs to know."""
        # A swarm never starts a task again: it makes another one.
        past = is_task(self.container.labels) and self.state not in (folds.STARTING, folds.RUNNING)
        return Member(self.state, is_being_replaced(self.container), past)
