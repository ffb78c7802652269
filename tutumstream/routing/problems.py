"""What the service does with `TUTUMSTREAM_ROUTES=problems`: only what went wrong is told, and that it is right again.

Crashes, loops of them and changes of health come from Docker's own knowledge (`event.docker`): a Tutum's states can't
tell a crash from a stop, so without it containers are told only where their state says that something failed. What
nobody marks as news to people (failed states, lost nodes) is an incident in Slack too, and its end is told only where
its beginning was.
"""

from collections.abc import Collection
from typing import Final

from tutumstream.routing.always import MACHINES, STREAM, deletions, destinations, gaps, journal
from tutumstream.routing.route import IncidentRule, Route

UNHEALTHY_FOR_LONG: Final = 300.0
"""Seconds after which one that is unhealthy pages."""

NODE_PATIENCE: Final = 60.0
"""Seconds after which a lost node pages: a daemon that is started anew is back by then."""

SERVICE_PATIENCE: Final = 10.0
"""Seconds for which a service may be out of order before anybody hears of it: a swarm that replaces what failed, again
and again, goes through these states each time, and the crashes are told anyhow."""

_FAILED: Final = '["Not running", "Not Running", "Start failed", "Stopped with errors"]'
_GONE: Final = '(event.type == "container" && event.action == "delete")'
_OVER: Final = (
    "{% if event.docker.event %}{{ event.docker.text }}"
    "{% else %}A container was removed: {{ event.resource_uri }}{% endif %}"
)
"""How something ended; where Docker said nothing of it, it is gone."""
_NODE: Final = (
    "{% if event.docker.event %}{{ event.docker.text }}"
    "{% else %}Node {{ event.docker.name or resource.nickname }} is {{ event.state }}{% endif %}"
)
_NAMED: Final = (
    "{{ event.type }} {% if event.docker.name %}{{ event.docker.name }}"
    "{% if event.docker.stack %} of {{ event.docker.stack }}{% endif %}"
    "{% else %}{{ resource.name }}{% endif %} is {{ event.state }}"
)
_SERVICE: Final = (
    "{% if service.docker is mapping %}{{ service.docker.name }}"
    "{% if service.docker.get('stack') %} of {{ service.docker.stack }}{% endif %}"
    "{% else %}{{ service.name }}{% endif %}"
)
_FOUND_WELL: Final = '(event.synthetic && event.docker.event == "start" && event.docker.crashes == 0)'
"""After a gap nobody hears of a recovery: only that it runs, and that nothing is wrong with it."""
_WHY: Final = "{% if event.docker.error %}: {{ event.docker.error }}{% endif %}"

_DEPLOYMENT: Final = "failed-{{ event.resource_uri }}"

_LOOP: Final = "crash-loop-{{ event.docker.slot or event.resource_uri }}"
"""A swarm makes a new container for each try, all in the same slot."""


def problems(page_on_delete: Collection[str] = (), chat: str = "slack") -> tuple[Route, ...]:
    """The built-in routes that are about problems.

    Args:
        page_on_delete: types whose deletion pages.
        chat: the destination of what is told to Slack.
    """
    return (
        *STREAM,
        Route(name="news", when="event.docker.news", notify=(chat,), text="{{ event.docker.text }}"),
        Route(
            # Whoever heard of the loop was promised a word when it is over; that it runs again nobody will tell.
            name="crash loop ended by somebody",
            when='event.docker.looping && event.docker.event in ["stop", "remove"] && !event.docker.news',
            notify=(chat,),
            text="{{ event.docker.text }}",
        ),
        *_CRASH_LOOPS,
        *_HEALTH,
        *_failures(chat),
        *_nodes(chat),
        *deletions(page_on_delete),
        *destinations(chat),
        *gaps(chat),
        *journal(chat),
        *MACHINES,
    )


_CRASH_LOOPS: Final = (
    Route(
        name="crash loop",
        when='event.docker.event == "crash" && event.docker.looping && event.docker.news',
        notify=("pagerduty",),
        text="{{ event.docker.text }}",
        incident=IncidentRule("trigger", _LOOP),
    ),
    Route(
        name="crash loop over",
        # A gateway that began anew forgot the loop. In a slot of a swarm another container may go on with it.
        when='event.docker.event == "recovery"'
        ' || (event.docker.looping && event.docker.event in ["finish", "stop", "remove"])'
        ' || (event.docker.event in ["finish", "stop"] && event.docker.slot == "") || ' + _FOUND_WELL,
        notify=("pagerduty",),
        text="{{ event.docker.text }}",
        incident=IncidentRule("close", _LOOP),
    ),
    Route(
        # Whatever was forgotten of it by a gateway that began anew.
        name="crash loop gone",
        when=_GONE,
        notify=("pagerduty",),
        text=_OVER,
        incident=IncidentRule("close", "crash-loop-{{ event.resource_uri }}"),
    ),
)

_HEALTH: Final = (
    Route(
        name="unhealthy for long",
        when='event.docker.event == "unhealthy"',
        notify=("pagerduty",),
        text="{{ event.docker.text }}",
        incident=IncidentRule("trigger", "unhealthy-{{ event.resource_uri }}"),
        grace=UNHEALTHY_FOR_LONG,
    ),
    Route(
        name="unhealthy no more",
        when='event.docker.event == "healthy"'
        ' || (event.docker.health == "unhealthy" && event.docker.event in ["stop", "finish", "crash"])'
        f" || {_FOUND_WELL} || {_GONE}",
        notify=("pagerduty",),
        text=_OVER,
        incident=IncidentRule("close", "unhealthy-{{ event.resource_uri }}"),
    ),
)


def _failures(chat: str) -> tuple[Route, ...]:
    return (
        Route(
            name="failed action",
            when='event.type == "action" && event.state == "Failed"',
            notify=(chat,),
            text="{{ resource.action }} failed: {% if event.parent.service %}"
            + _SERVICE
            + "{% elif event.parent.stack %}{{ stack.name }}{% else %}{{ event.resource_uri }}{% endif %}",
        ),
        Route(
            name="failed container",
            when=f'event.type == "container" && event.state in {_FAILED} && !event.docker.news',
            notify=(chat,),
            text=_NAMED,
        ),
        Route(
            name="failed deployment",
            when=f'(event.type in ["service", "stack"] && event.state in {_FAILED} && !event.docker.news)'
            ' || (event.type == "service" && event.state == "Partly running" && !event.docker.expected)',
            notify=(chat,),
            text=_NAMED + _WHY,
            incident=IncidentRule("trigger", _DEPLOYMENT),
            grace=SERVICE_PATIENCE,
        ),
        Route(
            name="failed deployment over",
            # Of a job of a swarm that was removed something may be left for good.
            when='event.type in ["service", "stack"]'
            ' && event.state in ["Running", "Stopped", "Terminating", "Terminated"]',
            notify=(chat,),
            text=_NAMED + "{{ ' again' if event.state == 'Running' }}",
            incident=IncidentRule("close", _DEPLOYMENT),
        ),
    )


def _nodes(chat: str) -> tuple[Route, ...]:
    lost, back = 'event.type == "node" && event.state == "Unreachable"', '["Deployed", "Terminated"]'
    key = "lost-{{ event.resource_uri }}"
    return (
        Route(name="lost node", when=lost, notify=(chat,), text=_NODE, incident=IncidentRule("trigger", key)),
        Route(
            name="node lost for long",
            when=lost,
            notify=("pagerduty",),
            text=_NODE,
            incident=IncidentRule("trigger", key),
            grace=NODE_PATIENCE,
        ),
        Route(
            name="node is back",
            when=f'event.type == "node" && event.state in {back}',
            notify=(chat, "pagerduty"),
            text=_NODE,
            incident=IncidentRule("close", key),
        ),
    )
