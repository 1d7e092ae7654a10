"""Whether a silent peer is still there: it is probed by SIP before a call ends for lack of media. Sans-I/O.

A peer may be silent legitimately: it has put the call on hold, or has signalled by comfort noise that it pauses. Then
the call goes on for as long as the peer answers. A peer that ought to send is given up in the end even if it answers.
"""

from enum import Enum, auto

MOST_QUESTIONS = 15  # to a peer that ought to send: 5 minutes with the default time-out


class LivenessStep(Enum):
    """What to do."""

    NOTHING = auto()
    ASK = auto()
    GIVE_UP = auto()


class Liveness:
    """The liveness of one call, checked periodically."""

    def __init__(self, timeout_ms: float) -> None:
        """The peer is probed after every `timeout_ms` of silence."""
        self._timeout_ms = timeout_ms
        self._asked = 0

    def look(self, silent_ms: float, *, by_right: bool) -> LivenessStep:
        """`silent_ms` have passed since the peer last sent anything."""
        if silent_ms <= self._timeout_ms:
            self._asked = 0
        if silent_ms <= self._timeout_ms * (self._asked + 1):
            return LivenessStep.NOTHING
        self._asked += 1
        return LivenessStep.GIVE_UP if self._asked > MOST_QUESTIONS and not by_right else LivenessStep.ASK
