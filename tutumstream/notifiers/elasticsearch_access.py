"""Where an Elasticsearch or OpenSearch is, and how to be let in. Pure."""

import base64
import re
from typing import Final

from tutumstream.net.address import Address

SCHEMES: Final = ("ApiKey ", "Bearer ")

_UNSENDABLE = re.compile(r"[^\x21-\x7e]")


def server(url: str) -> Address:
    """The server that a URL names, with a path in front of its API where there is one.

    Raises:
        ValueError: it is no http or https URL, or has a query or a fragment; the text holds nothing of it.
    """
    address = Address.parse(url)
    if "?" in url or "#" in url:
        raise ValueError("the URL is the server's, without ? and #")
    return address


def authorization(key: str) -> str:
    """The value of the `Authorization` header.

    Args:
        key: an API key, in base64 as the server's `encoded` or as `id:key`; a whole `Bearer …` for a token of a
            service.

    Raises:
        ValueError: it can't be in a header; the text holds nothing of it.
    """
    scheme = next((one for one in SCHEMES if key.startswith(one)), SCHEMES[0])
    value = key.removeprefix(scheme).strip()
    if not value or _UNSENDABLE.search(value):
        raise ValueError("a key is one word of ASCII characters, or Bearer and one word")
    if scheme == SCHEMES[0] and ":" in value:
        value = base64.b64encode(value.encode("ascii")).decode("ascii")
    return scheme + value
