"""The tokens by which pages may call: each is good for one call, for a short time, once. Sans-I/O.

A page gets its token from its own server, which asks for it here, so that no page needs a lasting secret. What the call
is to be stands here and not in the token, where the page could read it.
"""

import hashlib
import secrets

import msgspec

from telephony.lines.close_codes import CloseCode
from telephony.lines.exceptions import ProtocolError

MAX_GRANTS = 10_000  # waiting to be used; beyond that no more are issued


class Grant(msgspec.Struct, frozen=True):
    """What a token allows: a call to an agent, with keys that are pressed first."""

    agent: str
    keys: str


class TooMany(Exception):
    """So many tokens are waiting to be used that no more are issued."""


class Grants:
    """The tokens of one server; times are seconds of any steady clock."""

    def __init__(self, lifetime_s: float, limit: int = MAX_GRANTS) -> None:
        self.lifetime_s = lifetime_s
        self._limit = limit
        self._waiting: dict[bytes, tuple[float, Grant]] = {}  # by the token's hash: expiry, in the order of issue

    def issue(self, grant: Grant, now_s: float) -> str:
        """A new token, of 43 characters. Raises TooMany."""
        self._forget(now_s)
        if len(self._waiting) >= self._limit:
            raise TooMany
        token = secrets.token_urlsafe(32)
        self._waiting[_hash(token)] = now_s + self.lifetime_s, grant
        return token

    def redeem(self, token: str, now_s: float) -> Grant:
        """What the token allows, once. Raises ProtocolError."""
        self._forget(now_s)
        _, grant = self._waiting.pop(_hash(token), (0.0, None))
        if grant is None:
            raise ProtocolError(CloseCode.POLICY_VIOLATION, "the token is unknown, used or expired: ask for a new one")
        return grant

    def _forget(self, now_s: float) -> None:
        while self._waiting:
            token, (expiry_s, _) = next(iter(self._waiting.items()))
            if expiry_s > now_s:
                break
            del self._waiting[token]


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
