"""Where the scenario's nodes are said to be. Clients look these up by the nodecluster's URIs."""

from collections.abc import Mapping
from typing import Final

from tutumstream.gateway.platform import Resource

REGION: Final = "/api/v1/region/demo/here/"
NODETYPE: Final = "/api/v1/nodetype/demo/small/"
PROVIDER: Final = "/api/v1/provider/demo/"

PLACES: Final[Mapping[str, Resource]] = {
    PROVIDER: {
        "name": "demo",
        "label": "Demo",
        "available": True,
        "regions": [REGION],
        "resource_uri": PROVIDER,
    },
    REGION: {
        "name": "here",
        "label": "Here",
        "available": True,
        "provider": PROVIDER,
        "node_types": [NODETYPE],
        "availability_zones": [],
        "resource_uri": REGION,
    },
    NODETYPE: {
        "name": "small",
        "label": "Small",
        "available": True,
        "provider": PROVIDER,
        "regions": [REGION],
        "availability_zones": [],
        "resource_uri": NODETYPE,
    },
}
"""By URI. They have names, not uuids (protocol B3)."""
