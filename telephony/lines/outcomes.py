"""What follows a call's stream, kept from the end of the conversation until the carrier asks for it.

Nearly every call is simply hung up, so that is the answer for calls of which nothing is kept. If that were kept too,
small objects of every call would fragment the memory for half an hour and keep it from being freed.
"""

from collections.abc import Callable

from telephony.lines.ending import HangUp, Outcome


class Outcomes:
    """Outcomes by call id; beyond `limit` the oldest are dropped."""

    def __init__(self, lifetime_s: float, clock: Callable[[], float], limit: int = 10_000) -> None:
        """An outcome is forgotten after `lifetime_s` seconds of `clock`."""
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._limit = limit
        self._kept: dict[str, tuple[float, Outcome]] = {}  # call id to expiry and outcome, the earliest first

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, call_id: str, outcome: Outcome) -> None:
        """Keep the outcome unless it is to hang up; a later outcome of the same call replaces it."""
        now = self._clock()
        self._kept.pop(call_id, None)
        while self._kept:
            oldest, (expiry, _) = next(iter(self._kept.items()))
            if expiry > now and len(self._kept) < self._limit:
                break
            del self._kept[oldest]
        if not isinstance(outcome, HangUp):
            self._kept[call_id] = (now + self._lifetime_s, outcome)

    def get(self, call_id: str) -> Outcome:
        """The outcome. It stays for its lifetime, since Twilio repeats a request that got no answer.

        A call of which nothing is kept is hung up.
        """
        expiry, outcome = self._kept.get(call_id, (0.0, HangUp()))
        return outcome if expiry > self._clock() else HangUp()
