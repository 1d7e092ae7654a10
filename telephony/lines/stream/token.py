"""The stream token: proof that a media stream belongs to a webhook that we answered.

The webhook's answer gives it to the carrier, which hands it back when the stream starts. It is good for one call, for a
short time, once.

Only one process knows which tokens were used, so the key is made anew at each start and stored nowhere: no token of an
earlier run is accepted, used or not. No call is lost by that: a draining server waits for the streams of the calls that
it has answered, and one that was killed was not there for the carrier to reach.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable
from heapq import heappop, heappush

from telephony.lines.close_codes import CloseCode
from telephony.lines.exceptions import ProtocolError

_EXPIRY, _NONCE, _MAC = 8, 8, 32  # bytes: milliseconds of the clock, random, HMAC-SHA256
_LENGTH = _EXPIRY + _NONCE + _MAC


class Tokens:
    """Issues and redeems stream tokens."""

    def __init__(self, key: bytes, lifetime_s: float, clock: Callable[[], float], *, limit: int = 10_000) -> None:
        """Tokens expire `lifetime_s` after they were issued; at most `limit` are redeemed in that time. `clock` gives
        seconds and is monotonic. Processes that share `key` must also share what was used."""
        self._limit = limit
        self._key = key
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._used: set[bytes] = set()
        self._expiries: list[tuple[int, bytes]] = []  # of the used ones, a heap

    def issue(self, call_id: str) -> str:
        """A new token for the call: 64 characters that are safe in URLs and XML."""
        expiry = int((self._clock() + self._lifetime_s) * 1000).to_bytes(_EXPIRY, "big")
        head = expiry + secrets.token_bytes(_NONCE)
        return base64.urlsafe_b64encode(head + self._mac(head, call_id)).decode("ascii")

    def redeem(self, token: str, call_id: str) -> None:
        """Take the token; raises ProtocolError when it is malformed, not for this call, expired or used."""
        try:
            raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        except (UnicodeError, binascii.Error):
            raw = b""
        if len(raw) != _LENGTH:
            raise ProtocolError(CloseCode.POLICY_VIOLATION, "stream token is malformed")
        head, mac = raw[:-_MAC], raw[-_MAC:]
        if not hmac.compare_digest(mac, self._mac(head, call_id)):
            raise ProtocolError(CloseCode.POLICY_VIOLATION, "stream token is not for this call")
        now, expiry = self._clock() * 1000, int.from_bytes(head[:_EXPIRY], "big")
        if expiry <= now:
            raise ProtocolError(CloseCode.POLICY_VIOLATION, "stream token has expired")
        self._forget(now)
        if head in self._used:
            raise ProtocolError(CloseCode.POLICY_VIOLATION, "stream token was used already")
        if len(self._used) >= self._limit:
            raise ProtocolError(CloseCode.TRY_AGAIN_LATER, "too many streams started; try again later")
        self._used.add(head)
        heappush(self._expiries, (expiry, head))

    def _mac(self, head: bytes, call_id: str) -> bytes:
        # The head has a fixed length, so that it cannot run into the call's id.
        return hmac.digest(self._key, head + call_id.encode("utf-8", "surrogatepass"), hashlib.sha256)

    def _forget(self, now: float) -> None:
        while self._expiries and self._expiries[0][0] <= now:
            self._used.discard(heappop(self._expiries)[1])
