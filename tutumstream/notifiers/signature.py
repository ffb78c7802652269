"""Signatures of Standard Webhooks (github.com/standard-webhooks/standard-webhooks, spec): symmetric, `v1`."""

import base64
import binascii
import hashlib
import hmac
from typing import Final

PREFIX: Final = "whsec_"


def signing_key(secret: str) -> bytes:
    """The bytes to sign with: what is in base64 behind `whsec_`, or the text itself where it is no such secret.

    Raises:
        ValueError: what follows `whsec_` is no base64; the text holds nothing of it.
    """
    if not secret.startswith(PREFIX):
        return secret.encode("utf-8")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"what follows {PREFIX} in the secret is not base64") from None
    if not key:
        raise ValueError(f"nothing follows {PREFIX} in the secret")
    return key


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: over id, time of this attempt, and the very bytes of the body."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode("ascii")
