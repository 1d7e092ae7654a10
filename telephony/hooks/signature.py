"""The signature of our requests: `Voxline-Signature: t=<Unix time in s>,v1=<HMAC-SHA256 of "t.body" in hex>`."""

import hashlib
import hmac

HEADER = "Voxline-Signature"


def signature(secret: str, body: bytes, at_s: int) -> str:
    """The header's value for a body that is sent at this Unix time."""
    digest = hmac.new(secret.encode(), b"%d.%b" % (at_s, body), hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"
