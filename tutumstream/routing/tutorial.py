"""What the service does with the environment alone: the tutorial's behaviour, as routes."""

from collections.abc import Collection

from tutumstream.routing.always import LINE, MACHINES, MISSED, STREAM, deletions, destinations, gaps, journal
from tutumstream.routing.route import Route


def tutorial(page_on_delete: Collection[str] = (), chat: str = "slack") -> tuple[Route, ...]:
    """The built-in routes.

    Args:
        page_on_delete: types whose deletion pages.
        chat: the destination of what the tutorial says in Slack.
    """
    return (
        *STREAM,
        Route(
            name="container",
            when='event.type == "container"',
            notify=(chat,),
            text="Your container was {{ event.action }}d on Tutum!\n"
            "Check {{ event.resource_uri }} to see more details." + MISSED,
        ),
        Route(
            name="service of a stack",
            when='event.type == "service" && event.parent.stack != ""',
            notify=(chat,),
            text="A Service on Tutum was {{ event.action }}d.\n"
            "It belonged to the {{ stack.name }} Stack.\n"
            "The Stack state is: {{ stack.state }}" + MISSED,
        ),
        *deletions(page_on_delete),
        *destinations(chat),
        *gaps(chat),
        *journal(chat),
        Route(
            name="everything else",
            when='!(event.type in ["container", "stream", "destination", "journal"])'
            ' && !(event.type in ["user-notification", "user-notifications"])'
            ' && !(event.type == "service" && event.parent.stack != "")',
            notify=("log",),
            text=LINE + MISSED + "{% if event.message %}:{{ event.message }}{% endif %}",
        ),
        *MACHINES,
    )
