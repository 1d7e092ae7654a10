"""Slows those who guess. Sans-I/O: the time is handed in, in s.

Of each name (a user, an address) only the place in a table counts, so that no number of names takes more memory. Two
names in one place slow each other down; which do is as random as the table's own key.
"""

import hashlib
import secrets

FREE = 4  # failures that cost nothing
FIRST_S = 1.0
FORGOTTEN_S = 900.0  # without a failure


class Throttle:
    """One table."""

    def __init__(self, places: int, longest_s: float) -> None:
        """After FREE failures each next one doubles the wait, up to `longest_s`."""
        self._places = places
        self._longest_s = longest_s
        self._key = secrets.token_bytes(16)
        self._failures: dict[int, tuple[int, float]] = {}  # by place: how many, and when the last was

    def wait_s(self, name: str, now_s: float) -> float:
        """How long until an attempt is allowed; 0: now. To ask costs nothing."""
        count, last_s = self._failures.get(self._place(name), (0, 0.0))
        if count < FREE or now_s - last_s > FORGOTTEN_S:
            return 0.0
        return max(0.0, last_s + min(self._longest_s, FIRST_S * 2.0 ** min(count - FREE, 32)) - now_s)

    def attempt(self, name: str, now_s: float) -> None:
        """An attempt begins. It counts as failed until `succeeded`, so that many at once are no way round."""
        place = self._place(name)
        count, last_s = self._failures.get(place, (0, 0.0))
        self._failures[place] = (1 if now_s - last_s > FORGOTTEN_S else count + 1, now_s)

    def succeeded(self, name: str) -> None:
        """Forget the failures."""
        self._failures.pop(self._place(name), None)

    def _place(self, name: str) -> int:
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), key=self._key, digest_size=8).digest()
        return int.from_bytes(digest, "big") % self._places
