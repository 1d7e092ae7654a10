"""Whether a peer that sends nothing is still there: it is asked by SIP before a call ends for want of media. Sans-I/O.

A peer may be silent by right: it has put the call on hold, or has said by comfort noise that it sends nothing in
silence. Then the call goes on as long as the peer answers. One that ought to send is given up in the end all the same.
"""

from enum import Enum, auto

MOST_QUESTIONS = 15  # to a peer that ought to send: 5 minutes with the usual time-out


class Step(Enum):
    """What is to be done."""

    NOTHING = auto()
    ASK = auto()
    GIVE_UP = auto()


class Liveness:
    """Of one call, looked at every so often."""

    def __init__(self, timeout_ms: float) -> None:
        """`timeout_ms` of silence lead to a question, and so many more to the next one."""
        self._timeout_ms = timeout_ms
        self._asked = 0

    def look(self, silent_ms: float, *, by_right: bool) -> Step:
        """`silent_ms` have passed since the peer last sent anything."""
        if silent_ms <= self._timeout_ms:
            self._asked = 0
        if silent_ms <= self._timeout_ms * (self._asked + 1):
            return Step.NOTHING
        self._asked += 1
        return Step.GIVE_UP if self._asked > MOST_QUESTIONS and not by_right else Step.ASK
