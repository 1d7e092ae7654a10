"""Limits concurrent calls: a place is reserved at the webhook and claimed when the stream starts."""

from collections.abc import Callable

from config.parties import NOBODY, Parties


class Admission:
    """The places of this server. Nothing here awaits, so that no two calls get the same place."""

    def __init__(self, capacity: int, reserve_s: float, clock: Callable[[], float]) -> None:
        """`capacity` places; a reservation expires after `reserve_s` seconds of `clock` if no stream comes."""
        self._capacity = capacity
        self._reserve_s = reserve_s
        self._clock = clock
        self._active: set[str] = set()
        self._reserved: dict[str, float] = {}  # call id to expiry, the earliest first
        self._parties: dict[str, Parties] = {}  # of calls that have a place
        self.draining = False

    @property
    def active(self) -> int:
        """Calls with a stream."""
        return len(self._active)

    @property
    def reserved(self) -> int:
        """Calls whose stream is still to come."""
        now = self._clock()
        while self._reserved:
            call_id, expiry = next(iter(self._reserved.items()))
            if expiry > now:
                break
            del self._reserved[call_id]
            self._parties.pop(call_id, None)
        return len(self._reserved)

    @property
    def free(self) -> int:
        """Places for new calls: none while draining."""
        return 0 if self.draining else self._capacity - self.active - self.reserved

    def reserve(self, call_id: str, parties: Parties = NOBODY) -> bool:
        """Reserve a place for the call; False if there is none.

        Twilio repeats a webhook that got no answer, so a call that has a place keeps it.
        """
        if call_id in self._active:
            return True
        free = self.free  # drops expired reservations first
        if self._reserved.pop(call_id, None) is None and free <= 0:
            return False
        self._reserved[call_id] = self._clock() + self._reserve_s  # at the end: ordered by expiry
        self._parties[call_id] = parties
        return True

    def claim(self, call_id: str) -> bool:
        """Claim a place for the call's stream: the reserved one, else a free one; False if there is none.

        False too for a second stream of a call. A claimed place is held until `release`.
        """
        if call_id in self._active:
            return False
        free = self.free
        if self._reserved.pop(call_id, None) is None and free <= 0:
            return False
        self._active.add(call_id)
        return True

    def know(self, call_id: str, parties: Parties) -> None:
        """More is known of a call that has a place."""
        if call_id in self._parties:
            self._parties[call_id] = parties

    def parties(self, call_id: str) -> Parties:
        """Who calls whom, as recorded when the place was reserved."""
        return self._parties.get(call_id, NOBODY)

    def forget(self, call_id: str) -> None:
        """The call is over before its stream came: end its reservation. A claimed place stays claimed."""
        if self._reserved.pop(call_id, None) is not None:
            self._parties.pop(call_id, None)

    def release(self, call_id: str) -> None:
        """Give back the call's place or reservation; calls with neither are ignored."""
        self._active.discard(call_id)
        self._reserved.pop(call_id, None)
        self._parties.pop(call_id, None)

    def drain(self) -> None:
        """Admit no new calls; those with a place or a reservation keep it."""
        self.draining = True
