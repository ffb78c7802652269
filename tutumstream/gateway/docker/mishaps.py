"""Crash or stop, once or again and again, well or ill: what is made of how the runs of one container end. Pure.

A `Record` is what must be remembered of one container (or of one place that containers follow each other in, as the
tasks of a swarm do). Each function takes it as it was and gives it as it is now, with what there is to tell. Nothing is
told twice: a crash is news when somebody must look; the ones that Docker itself restarts after follow silently, until
they are too many, which is news once more; and so is the end of it, or that Docker gives up.
"""

from typing import Final

import msgspec

from tutumstream.docker_details import DockerDetails
from tutumstream.gateway.docker.endings import Ending, is_crash

_KEPT: Final = 64
"""Crashes that are remembered; more would count no differently."""


class Patience(msgspec.Struct, frozen=True):
    """When something is too much, or long enough. Seconds.

    Attributes:
        window: in which crashes are counted together.
        loop: so many of them are a loop.
        steady: it must run for so long after a crash to be well again.
        steadiest: out of a loop it must run for twice as long as it did between crashes, but never longer than this.
        oom: a death may follow so soon after the kernel killed something; then there is one thing to tell, not two.
    """

    window: int = 600
    loop: int = 3
    steady: float = 30.0
    steadiest: float = 600.0
    oom: float = 1.0


class Crash(msgspec.Struct, frozen=True):
    """When, in nanoseconds by the engine's clock, and for how many seconds it had run."""

    at: int
    ran: float


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered. Times are nanoseconds by the engine's clock, but for `due`.

    Attributes:
        crashes: the latest, of one window.
        unwell: how many there were since it was well.
        looping: it crashes again and again, and that was told.
        ill: that it is unhealthy was told.
        hushed: nobody was told of these crashes by us.
        again: Docker itself was to start it again after the last end.
        given_up: that Docker does so no more was told after that end.
        health: as seen last.
        oom: when the kernel last killed a process in it.
        oom_due: when that is to be told by itself; 0.0 where it is told, or told with a crash.
        due: if it still runs then, it is well again, seconds since 1970; 0.0 where nothing is waited for.
        since: the start of the run that must last until then.
    """

    crashes: tuple[Crash, ...] = ()
    unwell: int = 0
    looping: bool = False
    hushed: bool = False
    ill: bool = False
    again: bool = False
    given_up: bool = False
    health: str = ""
    oom: int = 0
    oom_due: float = 0.0
    due: float = 0.0
    since: int = 0


class Verdict(msgspec.Struct, frozen=True):
    """The record as it is now, and what there is to tell; None for nothing."""

    record: Record
    details: DockerDetails | None = None


FRESH: Final = Record()


def baseline(health: str, *, restarts: int, restarting: bool, since: int, now: float, patience: Patience) -> Record:
    """The record of what was there before we were: nothing of it is news, but its end may be.

    Args:
        restarts: how often Docker started it again.
        since: the start of the run that goes on; 0 where none does.
    """
    record = Record(again=restarting, ill=since > 0 and health == "unhealthy", health=health)
    # Where nothing runs, that is not lately at all.
    lately = now - since / 1e9 < patience.window
    if not (restarts and lately):
        return msgspec.structs.replace(record, unwell=int(restarting))
    # It crashed a short time ago. Who told of that is gone, and somebody may wait for the end of it.
    return msgspec.structs.replace(record, unwell=restarts, hushed=True, due=now + patience.steady, since=since)


def inherited(record: Record) -> Record:
    """The record of what comes in the place of something else, as a swarm's next task: it goes on with its troubles."""
    if not record.unwell and not record.ill:
        return FRESH
    return msgspec.structs.replace(record, again=True, health="", oom=0, oom_due=0.0, due=0.0, since=0)


def ended(record: Record, ending: Ending, patience: Patience) -> Verdict:
    """A run is over, or could not begin."""
    if is_crash(ending):
        return _crashed(record, ending, patience)
    well = not ending.asked and ending.exit_code == 0
    details = DockerDetails(
        event="finish" if well else "stop",
        news=well and record.unwell > 0 and not record.hushed,
        exit_code=ending.exit_code,
        oom_killed=ending.oom,
        health=record.health,
        restarting=ending.again,
        looping=was_looping(record),
        crashes=record.unwell,
        ran=_whole(ending.ran),
    )
    # Whoever stops something is looking after it, so counting begins anew.
    return Verdict(_rested(record, (() if ending.asked else record.crashes), again=ending.again), details)


def ended_before(
    place: Record, own: Record, ending: Ending, since: int, over: bool, now: float, patience: Patience
) -> Verdict:
    """A run is over, as is seen only now that something else is in its place. The verdict's record is the place's.

    Args:
        place: the record of what is there now.
        own: of what ended.
        since: the start of the run that goes on in its place; 0 where none does.
        over: what came after it has ended too, or may never begin.
    """
    told_alone = ended(own, ending, patience).details
    beside = 0 < since < ending.at and not is_crash(ending)
    if told_alone is not None and (beside or (over and not place.unwell)):
        # It made room for what ran already, or there is nothing left to look after.
        return Verdict(place, msgspec.structs.replace(told_alone, news=False, looping=False))
    verdict = ended(msgspec.structs.replace(place, again=True, health=own.health), ending, patience)
    after = msgspec.structs.replace(
        verdict.record,
        again=verdict.record.unwell > 0 and not over,
        health=place.health,
        oom_due=place.oom_due,
        since=since,
    )
    due = now + steady(after, patience) if since and after.unwell else 0.0
    return Verdict(msgspec.structs.replace(after, due=due), verdict.details)


def began(record: Record, at: int, now: float, patience: Patience) -> Verdict:
    """It runs."""
    due = now + steady(record, patience) if record.unwell else 0.0
    return Verdict(
        msgspec.structs.replace(record, due=due, since=at),
        DockerDetails(event="start", looping=record.looping),
    )


def looked(record: Record, since: int, health: str, now: float, patience: Patience) -> Verdict:
    """It runs, and was looked at.

    Args:
        since: the start of the run.
    """
    if health != record.health:
        return _changed_health(record, health)
    if record.oom_due and now >= record.oom_due:
        told = DockerDetails(
            event="oom", expected=False, news=True, oom_killed=True, health=health, looping=record.looping
        )
        return Verdict(msgspec.structs.replace(record, oom_due=0.0), told)
    if not record.due or now < record.due or since != record.since:
        return Verdict(record)
    if health in ("starting", "unhealthy"):
        return Verdict(msgspec.structs.replace(record, due=now + steady(record, patience)))
    ran = _whole(steady(record, patience) + now - record.due)
    told = DockerDetails(
        event="recovery", news=not record.hushed, health=health, looping=record.looping, crashes=record.unwell, ran=ran
    )
    return Verdict(msgspec.structs.replace(_rested(record, record.crashes, again=record.again), ill=False), told)


def called_off(record: Record) -> Verdict:
    """It was to be started again, and will not be: somebody stopped it, or its service is not wanted any more."""
    told = DockerDetails(event="stop", health=record.health, looping=was_looping(record), crashes=record.unwell)
    return Verdict(_rested(record, ()), told)


def removed(record: Record) -> DockerDetails:
    """It is gone, and with it what was wrong with it."""
    return DockerDetails(event="remove", looping=was_looping(record), crashes=record.unwell)


def given_up(record: Record, ending: Ending, patience: Patience) -> Verdict:
    """Docker will not start it again after its last end, as is known only now that the end was told."""
    if record.given_up or record.unwell < 2 or not is_crash(ending):
        return Verdict(record)
    told = _crash(record, msgspec.structs.replace(ending, given_up=True), patience, news=True)
    return Verdict(msgspec.structs.replace(record, given_up=True), told)


def short_of_memory(record: Record, at: int, now: float, patience: Patience) -> Record:
    """The kernel killed a process in it. That is told with the crash it may end in, else by itself, a little later."""
    if at <= record.oom:
        return record
    # Where it happens all the time, once in a window is often enough.
    lately = record.oom > at - patience.window * 1_000_000_000 and not record.oom_due
    return msgspec.structs.replace(record, oom=at, oom_due=0.0 if record.oom and lately else now + patience.oom)


def aside(record: Record, event: str = "") -> DockerDetails:
    """What there is to say of what changes nothing in the record."""
    return DockerDetails(event=event, health=record.health, looping=record.looping)


def was_looping(record: Record) -> bool:
    """Whether what ends now may have been told as a loop: what crashes before us came to, nobody knows any more."""
    return record.looping or record.unwell > len(record.crashes)


def steady(record: Record, patience: Patience) -> float:
    """Seconds for which it must run to be well again."""
    if not record.looping:
        return patience.steady
    between = max((crash.ran for crash in record.crashes[1:]), default=0.0)
    return min(max(2 * between, patience.steady), patience.steadiest)


def next_look(record: Record) -> float:
    """When it is to be looked at whatever is heard, seconds since 1970; 0.0 for never."""
    return min((at for at in (record.due, record.oom_due) if at), default=0.0)


def _crashed(record: Record, ending: Ending, patience: Patience) -> Verdict:
    crash = Crash(ending.at, ending.ran)
    # In a swarm some may be seen late.
    crashes = tuple(sorted((*record.crashes, *(crash,) * min(ending.times, _KEPT)), key=lambda each: each.at))[-_KEPT:]
    window = crashes[-1].at - patience.window * 1_000_000_000
    crashes = tuple(each for each in crashes if each.at > window)
    looping = record.looping or len(crashes) >= patience.loop
    silent = not ending.given_up and (record.looping or (record.unwell > 0 and record.again and not looping))
    after = msgspec.structs.replace(
        record,
        crashes=crashes,
        unwell=record.unwell + ending.times,
        looping=looping,
        hushed=False,
        again=ending.again,
        given_up=ending.given_up,
        oom_due=0.0,
        due=0.0,
        since=0,
    )
    return Verdict(after, _crash(after, ending, patience, news=not silent))


def _crash(record: Record, ending: Ending, patience: Patience, *, news: bool) -> DockerDetails:
    """What there is to tell of a crash that the record counts already."""
    return DockerDetails(
        event="crash",
        expected=False,
        news=news,
        exit_code=ending.exit_code,
        error=ending.error,
        oom_killed=ending.oom,
        health=record.health,
        restarting=ending.again,
        given_up=ending.given_up,
        looping=record.looping,
        crashes=len(record.crashes),
        within=patience.window,
        ran=_whole(ending.ran),
    )


def _changed_health(record: Record, health: str) -> Verdict:
    after = msgspec.structs.replace(record, health=health)
    if health == "unhealthy":
        # Of a loop the next word is that it is over.
        news = not record.ill and not record.looping
        told = DockerDetails(event="unhealthy", expected=False, news=news, health=health, looping=record.looping)
        return Verdict(msgspec.structs.replace(after, ill=record.ill or news), told)
    if health == "healthy":
        # After crashes nothing is well until it is told that it runs again.
        news = record.ill and (record.hushed or not record.unwell)
        told = DockerDetails(event="healthy", news=news, health=health, looping=record.looping)
        return Verdict(msgspec.structs.replace(after, ill=record.ill and not news), told)
    return Verdict(after)


def _rested(record: Record, crashes: tuple[Crash, ...], again: bool = False) -> Record:
    return msgspec.structs.replace(
        record,
        crashes=crashes,
        unwell=0,
        looping=False,
        hushed=False,
        again=again,
        given_up=False,
        oom_due=0.0,
        due=0.0,
        since=0,
    )


def _whole(seconds: float) -> int:
    return min(max(int(seconds), 0), 2**31 - 1)
