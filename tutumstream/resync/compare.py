"""What must have happened in between: the objects as they were known, beside those that there are. Pure."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import msgspec

from tutumstream.docker_details import DockerDetails
from tutumstream.event import GONE, LISTED_TYPES, TERMINATED
from tutumstream.journal.objects import REFUSED, ObjectState, condition, names
from tutumstream.resources.inventory import Inventory, Listed

_ORDER: Final = {kind: place for place, kind in enumerate(LISTED_TYPES)}


class Change(msgspec.Struct, frozen=True):
    """What became of one object.

    Attributes:
        action: `create`, `update` or `delete`.
        now: as it is; of what is gone, as it was, `Terminated`.
        docker: what Docker knows of it, where the server shows that.
    """

    action: str
    now: ObjectState
    docker: DockerDetails | None = None


class Findings(msgspec.Struct, frozen=True):
    """What a comparison found.

    Attributes:
        changes: to be told: what came and what changed, wholes before their parts; then what is gone, parts first.
        learned: not worth telling, and to be known from now on.
        redeployed: services with none of the containers that they had, and with new ones.
        replaced: the containers that went and came with that.
    """

    changes: tuple[Change, ...] = ()
    learned: tuple[ObjectState, ...] = ()
    redeployed: tuple[str, ...] = ()
    replaced: frozenset[str] = frozenset()


def missing(known: Mapping[str, ObjectState], there: Inventory, live: Collection[str]) -> list[str]:
    """What is known, not over, and not listed. A list may have been read while it changed: each must be looked for by
    itself."""
    return sorted(
        uri
        for uri, state in known.items()
        if uri not in there.objects and uri not in live and state.type in there.types and state.state != TERMINATED
    )


def compare(
    known: Mapping[str, ObjectState], there: Inventory, live: Collection[str], at: float, first: bool
) -> Findings:
    """Compare.

    Args:
        known: what was told last, by URI.
        there: what there is; whatever is `missing` was looked for, and is in it if it was found.
        live: objects that were heard of since their list was asked for: what was heard is newer than any list.
        at: seconds since 1970.
        first: nothing was listed before, so what is not known need not be new.
    """
    changes, gone, learned = list[Change](), list[Change](), list[ObjectState]()
    newest = _newest(there)
    for uri, listed in there.objects.items():
        before = known.get(uri)
        if uri in live or not listed.state:
            continue
        health, looping = condition(listed.docker)
        was_looping = before is not None and before.looping
        over = _out_of_loop(listed.docker) if was_looping else None
        looping = looping or (was_looping and over is None)
        now = ObjectState(
            uri,
            listed.type,
            listed.state,
            _parents(listed, there, before),
            at,
            health,
            looping,
            *_names(listed, before),
        )
        if over is None and before is not None and _looks_like(before) == _looks_like(now):
            continue
        news = over or _as_news(listed.docker, newest, was_looping)
        if before is not None and before.state == now.state:
            refused = news if health == REFUSED != before.health else None
            if told := over or refused or _changed_health(before.health, listed.docker):
                changes.append(Change("update", now, told))
            else:
                learned.append(now)
        elif now.state == TERMINATED:
            # It may be listed for hours more. That it went is told once, now, and kept in mind.
            learned.append(now)
            if before is not None:
                gone.append(Change(GONE, now, news))
        elif before is not None:
            changes.append(Change("update", now, news))
        elif first:
            learned.append(now)
        else:
            changes.append(Change("create", now, news))
    gone += [_ended(known[uri], at) for uri in missing(known, there, live)]
    changes.sort(key=lambda change: _ORDER[change.now.type])
    gone.sort(key=lambda change: -_ORDER[change.now.type])
    redeployed = _redeployed(known, there, live)
    replaced = frozenset(uri for service in redeployed.values() for uri in service)
    return Findings((*changes, *gone), tuple(learned), tuple(redeployed), replaced)


def _names(listed: Listed, before: ObjectState | None) -> tuple[str, str, str]:
    """What it is called; as before, where the server does not say."""
    if listed.docker is None and before is not None:
        return before.name, before.stack, before.node
    return names(listed.docker)


def _looks_like(known: ObjectState) -> tuple[str, ...]:
    """All that is told of an object, or wanted for what is told of it later."""
    return known.state, known.health, known.name, known.stack, known.node


def _ended(before: ObjectState, at: float) -> Change:
    """What is not there any more. Nobody can be asked about it, so it is called what it was called."""
    ended = ObjectState(before.uri, before.type, TERMINATED, before.parents, at)
    if not before.name:
        return Change(GONE, ended)
    event = "remove" if before.type == "container" else ""
    return Change(GONE, ended, DockerDetails(event=event, name=before.name, stack=before.stack, node=before.node))


def _newest(there: Inventory) -> dict[str, str]:
    """When the last thing happened in each slot of a swarm. What was there before is over."""
    found: dict[str, str] = {}
    for listed in there.objects.values():
        if listed.docker is not None and listed.docker.slot:
            found[listed.docker.slot] = max(found.get(listed.docker.slot, ""), listed.docker.time)
    return found


def _as_news(docker: DockerDetails | None, newest: Mapping[str, str], was_looping: bool) -> DockerDetails | None:
    """What is wrong now was not when it was told last, so nobody has heard of it. A loop that was told goes on until
    its end is."""
    if docker is None:
        return None
    over = bool(docker.slot) and docker.time < newest[docker.slot]
    looping = docker.looping or (was_looping and not docker.slot)
    news = docker.news or (docker.event in ("crash", "unhealthy") and not over)
    return msgspec.structs.replace(docker, news=news, looping=looping)


def _out_of_loop(docker: DockerDetails | None) -> DockerDetails | None:
    """What ended a crash loop that was told; None where it goes on, or nobody can say. In a slot of a swarm the next
    container may go on with it."""
    if docker is None or docker.slot or docker.restarting:
        return None
    if docker.given_up:
        return msgspec.structs.replace(docker, news=True, looping=True)
    if docker.looping or docker.crashes:
        return None
    if docker.event == "start":
        return msgspec.structs.replace(docker, event="recovery", news=True, looping=True)
    if docker.event == "crash" and docker.restart_count:
        # Docker would have gone on, so somebody stopped it in between.
        return msgspec.structs.replace(docker, event="stop", expected=True, looping=True)
    return msgspec.structs.replace(docker, looping=True) if docker.event in ("finish", "stop") else None


def _changed_health(before: str, docker: DockerDetails | None) -> DockerDetails | None:
    """What to tell of one that runs as before: that it became ill, or well again; None of all else."""
    if docker is None or docker.event not in ("start", "unhealthy") or before == docker.health:
        return None
    if docker.health == "unhealthy":
        return msgspec.structs.replace(docker, event="unhealthy", expected=False, news=True)
    if docker.health == "healthy" and before == "unhealthy":
        return msgspec.structs.replace(docker, event="healthy", news=True)
    return None


def _parents(listed: Listed, there: Inventory, before: ObjectState | None) -> tuple[str, ...]:
    """As the stream would have sent them: what it belongs to, and what that belongs to (protocol A7)."""
    direct = listed.belongs_to
    beyond = [uri for parent in direct if (whole := there.objects.get(parent)) for uri in whole.belongs_to]
    found = tuple(dict.fromkeys([*direct, *beyond]))
    return found or (before.parents if before is not None else ())


def _redeployed(known: Mapping[str, ObjectState], there: Inventory, live: Collection[str]) -> dict[str, frozenset[str]]:
    """Services by what was replaced. Where something of a service was heard of already, that tells its story better."""
    old = _by_service(
        (uri, parent)
        for uri, state in known.items()
        if state.type == "container" and state.state != TERMINATED
        for parent in state.parents
    )
    new = _by_service(
        (uri, parent)
        for uri, listed in there.objects.items()
        if listed.type == "container" and listed.state != TERMINATED
        for parent in listed.belongs_to
    )
    return {
        service: frozenset(old[service] | new[service])
        for service in sorted(old.keys() & new.keys())
        if service in known
        and known[service].type == "service"
        and service in there.objects
        and not old[service] & new[service]
        and not (old[service] | new[service]).intersection(live)
    }


def _by_service(pairs: Iterator[tuple[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for uri, parent in pairs:
        found.setdefault(parent, set()).add(uri)
    return found
