"""What Docker knows of an event, beyond Tutum's five keys: the extra key `docker`. Our gateway sends it.

Tutum's states can't tell a crash from a stop; this can. It is read field by field where it has to be: one strange value
costs that value, never the event.
"""

from typing import Annotated, Any, Final

import msgspec

NAME_LIMIT: Final = 255
ERROR_LIMIT: Final = 1000
_NUMBER_LIMIT: Final = 2**31

_Name = Annotated[str, msgspec.Meta(max_length=NAME_LIMIT)]
_Error = Annotated[str, msgspec.Meta(max_length=ERROR_LIMIT)]
_Code = Annotated[int, msgspec.Meta(ge=-_NUMBER_LIMIT, lt=_NUMBER_LIMIT)]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=_NUMBER_LIMIT)]


class DockerDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened to a container, or to a node, in Docker's terms.

    Attributes:
        event: of a container `create`, `start`, `stop` (somebody wanted it), `finish` (by itself, and well), `crash`
            (by itself, or it could not even be started), `oom` (the kernel killed a process in it, and it goes on),
            `unhealthy`, `healthy`, `recovery` (it runs steadily after crashes), `rename`, `remove`; of a node
            `unreachable`, `reachable`, and where somebody changed what its swarm may run there `drain` (nothing),
            `pause` (nothing new) or `activate`; "" where it is none of these.
        name: of the container, as people call it: `web-2` of the service `web`.
        service, stack, node: names; "" where there is none.
        slot: the same for all containers that a swarm puts into one place, one after the other; "" outside of a swarm.
        expected: false where something went wrong.
        news: true where something went wrong or is right again, and that was not told before.
        exit_code: of the run that ended; None where nothing ended, or nobody knows.
        error: why it could not be started, or not again, in Docker's words.
        oom_killed: the kernel killed a process in it for want of memory.
        health: `starting`, `healthy`, `unhealthy`; "" without a health check.
        restarting: Docker is about to start it again.
        restart_count: how often Docker did so since somebody started it.
        given_up: Docker was to do so, and does no more: it was to try so often only, was told to stop trying, or could
            not.
        looping: it crashes again and again; on what ends that, it did so until now.
        crashes: how often it crashed `within` that many seconds; on what ends the crashes, how many there were.
        ran: seconds for which it ran.
        time: when, by the engine's clock, RFC 3339.
        availability: of a node of a swarm: `active`, `pause`, `drain`; "" elsewhere.
    """

    event: _Name = ""
    name: _Name = ""
    service: _Name = ""
    stack: _Name = ""
    node: _Name = ""
    slot: _Name = ""
    expected: bool = True
    news: bool = False
    exit_code: _Code | None = None
    error: _Error = ""
    oom_killed: bool = False
    health: _Name = ""
    restarting: bool = False
    restart_count: _Count = 0
    given_up: bool = False
    looping: bool = False
    crashes: _Count = 0
    within: _Count = 0
    ran: _Count = 0
    time: _Name = ""
    availability: _Name = ""

    def view(self) -> dict[str, Any]:
        """What conditions and templates see as `event.docker`: every name, an unknown exit code as 0; and `text`."""
        return {**msgspec.structs.asdict(self), "exit_code": self.exit_code or 0, "text": sentence(self)}

    def document(self) -> dict[str, Any]:
        """The fields that say something: all flags and numbers that are known, and the texts that are not empty."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value not in ("", None)}


_decoder = msgspec.json.Decoder(DockerDetails)
_FIELDS: Final = msgspec.structs.fields(DockerDetails)
_LIMITS: Final = {field.name: ERROR_LIMIT if field.name == "error" else NAME_LIMIT for field in _FIELDS}


def read_details(raw: bytes) -> DockerDetails | None:
    """Read the JSON of the key. Fields that nobody has heard of are passed over, values that can't be are left out.

    Returns:
        None where it is no JSON object.
    """
    try:
        return _decoder.decode(raw)
    except (ValueError, RecursionError):
        return _salvaged(raw)


def _salvaged(raw: bytes) -> DockerDetails | None:
    try:
        found = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    kept: dict[str, Any] = {}
    for field in _FIELDS:
        value = found.get(field.name)
        cut = value[: _LIMITS[field.name]] if isinstance(value, str) else value
        try:
            kept[field.name] = msgspec.convert(cut, field.type)
        except msgspec.ValidationError:
            # Missing ones come here too: what is left out has its default.
            continue
    return DockerDetails(**kept)


def sentence(details: DockerDetails) -> str:
    """What happened, in plain English without markup: `web-2 of shop crashed: exit 137, out of memory`."""
    who = _who(details)
    if details.event in _NODES:
        return f"Node {details.name} {_NODES[details.event]}"
    if details.event == "crash":
        return _crash(who, details)
    if details.event == "recovery":
        return _recovery(who, details)
    if details.event == "finish" and details.crashes:
        return f"{who} finished well, after {_number(details.crashes, 'crash')}"
    if details.event == "healthy":
        return f"{who} is healthy again" if details.news else f"{who} is healthy"
    what = f"{who} {_PLAIN.get(details.event, details.event)}".strip()
    if details.event == "stop" and details.exit_code is not None:
        what += f": {exit_words(details.exit_code)}"
    if details.event in ("stop", "remove") and details.crashes:
        what += f", after {_number(details.crashes, 'crash')}"
    return what


_PLAIN: Final = {
    "": "changed",
    "create": "was created",
    "start": "started",
    "stop": "was stopped",
    "finish": "finished",
    "oom": "is short of memory: the kernel killed a process in it",
    "unhealthy": "is unhealthy",
    "rename": "was renamed",
    "remove": "was removed",
}

_NODES: Final = {
    "unreachable": "can't be reached",
    "reachable": "can be reached again",
    "drain": "is drained: its swarm runs nothing there",
    "pause": "is paused: its swarm starts nothing new there",
    "activate": "takes tasks of its swarm again",
}

_LOOP: Final = "It crashes again and again; the next word comes when that is over"
_GIVEN_UP: Final = "Docker has given up starting it again"


def _who(details: DockerDetails) -> str:
    who = details.name or "A container"
    if details.stack:
        who += f" of {details.stack}"
    # One engine alone is called so, and nobody needs to hear it.
    return f"{who} on {details.node}" if details.node not in ("", "local") else who


def _recovery(who: str, details: DockerDetails) -> str:
    # Where nobody saw it get well, nobody knows when that was.
    lasted = f", for {duration(details.ran)} now" if details.ran else ""
    return f"{who} runs again{lasted}" + (f", after {_number(details.crashes, 'crash')}" if details.crashes else "")


def _crash(who: str, details: DockerDetails) -> str:
    if details.error:
        what = f"{who} could not be started: {details.error}"
    else:
        code = details.exit_code
        # That it was killed goes without saying where it is said why.
        shown = "exit unknown" if code is None else f"exit {code}" if details.oom_killed else exit_words(code)
        what = f"{who} crashed: {shown}"
    if details.oom_killed:
        what += ", out of memory"
    if details.health == "unhealthy":
        what += ", unhealthy"
    if details.crashes > 1:
        what += f", {ordinal(details.crashes)} time"
        if details.within:
            what += f" in {duration(details.within)}"
    if details.given_up:
        return f"{what}. {_GIVEN_UP}"
    return f"{what}. {_LOOP}" if details.looping else what


_SIGNALS: Final = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    15: "SIGTERM",
}


def exit_words(code: int) -> str:
    """An exit code, with the signal that it stands for: `exit 139 (SIGSEGV)`."""
    signal = _SIGNALS.get(code - 128)
    return f"exit {code} ({signal})" if signal else f"exit {code}"


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `3rd`, `4th`, `11th`, `21st`."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def duration(seconds: int) -> str:
    """`30 seconds`, `10 minutes`, `2 hours`, `3 days`: whole ones of the largest unit that fits."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return _number(seconds // length, unit)
    return _number(seconds, "second")


def _number(count: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("sh") else f"{noun}s"
    return f"{count} {noun if count == 1 else plural}"


ABSENT: Final = DockerDetails().view()
"""What conditions and templates see where an event brings no details."""
