"""Tells twistd what there is. Every twistd on the machine imports this: it must stay free of other imports."""

from twisted.application.service import ServiceMaker

tutumstream = ServiceMaker(
    "tutumstream",
    "tutumstream.tap",
    "Listens to a container platform's event stream and tells the right people.",
    "tutumstream",
)

tutumgateway = ServiceMaker(
    "tutumgateway",
    "tutumstream.gateway.tap",
    "Serves Tutum's Stream and REST API over a Docker Engine.",
    "tutumgateway",
)
