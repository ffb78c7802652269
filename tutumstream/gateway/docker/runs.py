"""What a step of a container's life means: how a run ended, from what was seen of it and what was heard. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from tutumstream.docker_details import ERROR_LIMIT, NAME_LIMIT, DockerDetails
from tutumstream.gateway.docker import folds, mishaps
from tutumstream.gateway.docker.endings import QUICK, Ending, is_crash
from tutumstream.gateway.docker.facts import Container
from tutumstream.gateway.docker.identity import is_task, nickname, slot_of
from tutumstream.gateway.docker.known import Known
from tutumstream.gateway.docker.mishaps import Patience, Record, Verdict

STOP_PATIENCE: Final = 10.0
"""Seconds beyond its grace in which a container that was sent a signal may still end by it."""

_SECOND: Final = 1_000_000_000

_BY_THE_SWARM: Final = frozenset({"shutdown", "remove", "orphaned"})
"""What a swarm calls the end of a task that it wanted, or that nobody can know."""

_FOR_ILLNESS: Final = frozenset({"failed", "complete"})
"""What it calls the end of a task that it had to end: by its exit code it did well."""

REPEATED: Final = "repeated"
"""Our word for the end of a task that did well, of a service that soon makes another one nonetheless."""

_PLAIN: Final = {folds.STARTING: "create", folds.TERMINATED: "remove"}


def baseline(known: Known, now: float, patience: Patience) -> Record:
    """The record of a container that was there before we were."""
    seen = known.container
    return _baseline(known, seen.restart_count, restarting=seen.status == "restarting", now=now, patience=patience)


def baseline_of_slot(line: Sequence[Known], now: float, patience: Patience) -> Record:
    """The record of the last of some tasks that followed each other in a swarm before we were there: what a restart
    count says of other containers is what became of those before it."""
    last = line[-1]
    crashes = [_crashed_lately(known, now, patience) for known in line]
    failing = last.state != folds.RUNNING and any(crashes[-1:] if last.state == folds.STOPPED else crashes[-2:])
    record = _baseline(last, sum(crashes), restarting=failing, now=now, patience=patience)
    return msgspec.structs.replace(record, again=record.again and last.state != folds.STOPPED)


def _baseline(known: Known, restarts: int, *, restarting: bool, now: float, patience: Patience) -> Record:
    since = known.container.started if known.state == folds.RUNNING else 0
    return mishaps.baseline(
        known.container.health, restarts=restarts, restarting=restarting, since=since, now=now, patience=patience
    )


def _crashed_lately(known: Known, now: float, patience: Patience) -> bool:
    ending = found(known, known.container, known.container)
    return is_end(known.container, known.state) and is_crash(ending) and ending.at / _SECOND > now - patience.window


def step(
    known: Known, before: Container, seen: Container, state: str, later: Sequence[str], now: float, patience: Patience
) -> Verdict:
    """A container came to a state.

    Args:
        before: the container as it was before it was seen so.
        later: the states that it has come to since.
    """
    record = known.record
    if state == folds.RUNNING:
        verdict = mishaps.began(record, seen.started, now, patience)
        return _dated(verdict, seen.started)
    if not is_end(seen, state):
        return Verdict(record, mishaps.aside(record, _PLAIN.get(state, "")))
    ending = _ending(known, before, seen, later)
    return _dated(mishaps.ended(record, ending, patience), ending.at)


def is_end(seen: Container, state: str) -> bool:
    """By coming to this state a run ended, or could not begin."""
    return state == folds.STOPPED and (seen.status != "created" or seen.error != "")


def end_before(
    known: Known,
    heir: Known,
    before: Container,
    seen: Container,
    later: Sequence[str],
    now: float,
    patience: Patience,
) -> Verdict:
    """A run of a container ended that already has an heir in its slot. The verdict's record is the heir's."""
    since = heir.container.started if heir.state in (folds.RUNNING, folds.STOPPING) else 0
    ending = _ending(known, before, seen, later)
    verdict = mishaps.ended_before(heir.record, known.record, ending, since, not heir.runs, now, patience)
    return _dated(verdict, ending.at)


def _ending(known: Known, before: Container, seen: Container, later: Sequence[str]) -> Ending:
    return missed(known, before, seen) if folds.RUNNING in later else found(known, before, seen)


def calm(known: Known, before: Container, now: float, patience: Patience) -> Verdict:
    """A container was looked at, and its state is what it was when it was seen as `before`."""
    seen, record = known.container, known.record
    if known.state in (folds.RUNNING, folds.STOPPING):
        return mishaps.looked(record, seen.started, seen.health, now, patience)
    if known.state == folds.STOPPED and _refused(known) and seen.error != before.error:
        # A restart policy does not try that twice, nor does an engine that comes back.
        ending = found(known, seen, seen)
        return _dated(mishaps.ended(record, ending, patience), ending.at)
    if known.state == folds.STOPPED and record.again and seen.status != "restarting":
        return mishaps.called_off(record)
    return Verdict(record)


def given_up(known: Known, patience: Patience) -> Verdict:
    """The swarm of a container that ended says that it makes no other one in its place."""
    ending = found(known, known.container, known.container)
    return _dated(mishaps.given_up(known.record, ending, patience), ending.at)


def removed(known: Known, at: int) -> DockerDetails:
    """A container is gone, since `at`; 0 where nobody knows."""
    return msgspec.structs.replace(mishaps.removed(known.record), time=moment(at))


def called_off(known: Known) -> Verdict:
    """The service of a container that ended is not wanted any more; so nobody waits for what is wrong with it."""
    return mishaps.called_off(known.record) if known.record.unwell else Verdict(known.record)


def as_it_is(known: Known, node: str) -> DockerDetails:
    """What there is to say of a container to somebody who heard nothing of it: how it ended, or how it does.

    The same that was told when it came to its state, but for `news`, which is a matter of who was told.
    """
    seen, record = known.container, known.record
    if known.state == folds.STOPPED and (seen.started or seen.error):
        ending = found(known, seen, seen)
        crashed = is_crash(ending)
        details = DockerDetails(
            event="crash" if crashed else "finish" if not ending.asked and ending.exit_code == 0 else "stop",
            expected=not crashed,
            exit_code=ending.exit_code,
            error=ending.error,
            oom_killed=ending.oom,
            health=record.health,
            restarting=ending.again,
            given_up=crashed and (ending.given_up or record.given_up),
            looping=crashed and record.looping,
            crashes=len(record.crashes) if crashed else 0,
            ran=int(ending.ran),
            time=moment(ending.at),
        )
    elif known.state == folds.RUNNING:
        ill = seen.health == "unhealthy"
        details = DockerDetails(
            event="unhealthy" if ill else "start",
            expected=not ill,
            health=seen.health,
            looping=record.looping,
            crashes=record.unwell,
            time=moment(seen.started),
        )
    else:
        details = mishaps.aside(record, _PLAIN.get(known.state, ""))
    return named(details, known, node)


def named(details: DockerDetails, known: Known, node: str) -> DockerDetails:
    """The details, with who it is about."""
    place = known.place
    return msgspec.structs.replace(
        details,
        name=nickname(known.container, place),
        service=place.service_name[:NAME_LIMIT],
        stack=place.stack_name,
        node=node,
        slot=slot_of(known.container, place),
        restart_count=known.container.restart_count,
    )


def found(known: Known, before: Container, seen: Container) -> Ending:
    """The end of the run that is over now."""
    heard = known.death if known.death is not None and known.death.at > seen.started else None
    at = seen.finished or (heard.at if heard else 0) or seen.created
    refused = _refused(known)
    # Whoever stopped it, somebody wants it to run.
    stopped = not refused and _asked(known, seen, max(at, heard.at if heard else 0), seen.exit_code)
    ill = stopped and seen.fate in _FOR_ILLNESS and seen.health == "unhealthy"
    # Those before it are told of by `missed`.
    several = seen.started != before.started and before.status == "running"
    return Ending(
        at=at,
        exit_code=seen.exit_code,
        error=seen.error[:ERROR_LIMIT] if refused or not seen.started else "",
        oom=seen.oom_killed or (seen.started > 0 and known.record.oom > seen.started),
        asked=seen.fate in _BY_THE_SWARM or (stopped and not ill),
        ill=ill,
        seen=(heard is not None and not heard.silent) or seen.fate == "failed",
        again=seen.status == "restarting",
        # Of one on another node it is not certain when it started, only when it was made.
        repeated=seen.fate == REPEATED and (not known.machine or _seconds(seen.created, at) < QUICK),
        given_up=_given_up(seen),
        ran=_seconds(seen.started, at),
        times=1 if several else max(_ends(seen) - _ends(before), 1),
    )


def missed(known: Known, before: Container, seen: Container) -> Ending:
    """The end, or the ends, between the run that was known and the one after it."""
    heard = known.death if known.death is not None and before.started < known.death.at < seen.started else None
    restarts = seen.restart_count - before.restart_count - (1 if seen.status == "restarting" else 0)
    at = heard.at if heard else seen.started
    exit_code = heard.exit_code if heard else None
    return Ending(
        at=at,
        exit_code=exit_code,
        oom=before.started < known.record.oom < seen.started,
        asked=_asked(known, before, at, exit_code),
        seen=heard is not None and not heard.silent,
        again=restarts > 0,
        ran=_seconds(before.started, at),
        times=max(restarts, 1),
    )


def is_undecided(known: Known, seen: Container) -> bool:
    """Whether a task that was ill was ended for that, or had to go anyhow, is for its swarm to say."""
    if seen.fate or known.machine or seen.health != "unhealthy" or not is_task(seen.labels):
        return False
    ending = found(known, known.container, seen)
    return ending.asked or not ending.seen


def _refused(known: Known) -> bool:
    """It ran, ended, and could not be started since. On another node an error only says how it ended."""
    seen = known.container
    return seen.started > 0 and seen.error != "" and not known.machine


def _ends(container: Container) -> int:
    """How often it has ended since somebody started it: Docker counts its own restarts, before they begin."""
    return container.restart_count + (container.status in ("exited", "dead"))


def _given_up(seen: Container) -> bool:
    """Its restart policy started it as often as it may, or could not, or was taken away meanwhile."""
    if seen.bare or seen.status != "exited":
        return False
    if seen.started and seen.error:
        return seen.options.autorestart != "OFF"
    if seen.restart_count == 0:
        return False
    limited = seen.options.autorestart == "ON_FAILURE" and seen.retries > 0
    return seen.options.autorestart == "OFF" or (limited and seen.restart_count >= seen.retries)


def _asked(known: Known, container: Container, at: int, exit_code: int | None) -> bool:
    """A signal to stop came in this run, and the end soon after; or the signal that it died of came from outside."""
    if container.started < known.killed and at - known.killed <= (container.stop_timeout + STOP_PATIENCE) * _SECOND:
        return True
    strike = known.strike
    return strike is not None and strike.at > container.started and exit_code == 128 + strike.signal


def _dated(verdict: Verdict, at: int) -> Verdict:
    if verdict.details is None:
        return verdict
    return Verdict(verdict.record, msgspec.structs.replace(verdict.details, time=moment(at)))


def moment(at: int) -> str:
    """Nanoseconds since 1970 as `2015-09-01T12:00:00.000Z`; "" for 0."""
    if at <= 0:
        return ""
    return datetime.fromtimestamp(at / _SECOND, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _seconds(start: int, end: int) -> float:
    return max(end - start, 0) / _SECOND if start else 0.0
