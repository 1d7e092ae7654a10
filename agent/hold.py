"""A call on hold: where it resumes, and what waits until then. Sans-I/O.

Of one reply's events all but the audio are few; of its audio next to none comes, since the engine has to wait as well.
"""

from agent import events as e
from agent.state import State, Trigger

_LATER = (
    e.CallerSaid
    | e.ReplyText
    | e.ReplyUnfinished
    | e.ReplyAudio
    | e.ReplyDone
    | e.ReplyEnded
    | e.ReplyFailed
    | e.ToolsFinished
    | e.TransferFailed
)
_NEVER = e.SpeechProbability | e.Dtmf | e.OperatorAudio  # not of the caller, or not for them
_BACK = {
    State.LISTENING: Trigger.RETRIEVE,
    State.PROCESSING: Trigger.REPLY,
    State.SPEAKING: Trigger.RESUME,
    State.INTERRUPTED: Trigger.RESUME,  # what the caller was saying was not for us
    State.CONNECTING: Trigger.TRANSFER,
    State.TAKEN_OVER: Trigger.TAKE_OVER,
}


class Hold:
    """One of them. `paused`: a reply was, and is to be resumed."""

    def __init__(self, before: State, *, paused: bool) -> None:
        self.back = _BACK[before]
        self.paused = paused
        self.later: list[e.Event] = []

    def absorbs(self, event: e.Event) -> bool:
        """Whether an event needs nothing now: it is dropped, or waits in `later`."""
        if isinstance(event, _LATER):
            self.later.append(event)
            return True
        return isinstance(event, _NEVER)
