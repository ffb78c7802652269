"""What the scenario deploys: a shop behind a load balancer, with a database."""

from typing import Final

from tutumstream.gateway.scenario.objects import Blueprint

STACK: Final = "shop"
BLUEPRINTS: Final = (
    Blueprint(
        name="db",
        image="tutum/mysql:5.6",
        command="/run.sh",
        port=3306,
        protocol="mysql",
        published=False,
        links=(),
        size=1,
    ),
    Blueprint(
        name="web",
        image="tutum/hello-world:latest",
        command="/run.sh",
        port=8080,
        protocol="http",
        published=False,
        links=("db",),
        size=2,
    ),
    Blueprint(
        name="lb",
        image="tutum/haproxy:latest",
        command="python /haproxy/main.py",
        port=80,
        protocol="http",
        published=True,
        links=("web",),
        size=1,
    ),
)
WEB: Final = "web"
"""The service that is scaled and redeployed."""
