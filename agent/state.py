"""The state machine of a conversation: one table of transitions."""

from enum import StrEnum


class State(StrEnum):
    """Where the conversation stands."""

    IDLE = "idle"
    LISTENING = "listening"
    PROCESSING = "processing"
    SPEAKING = "speaking"
    INTERRUPTED = "interrupted"
    HOLD = "hold"  # the caller has put the call on hold
    TAKEN_OVER = "taken_over"  # a person of ours talks with the caller
    CONNECTING = "connecting"  # with somebody else: it ends here, or goes on when nobody is there
    ENDED = "ended"


class Trigger(StrEnum):
    """What moves it."""

    REPLY = "reply"  # a reply was asked for
    AUDIO = "audio"  # its first audio goes to the line
    SPEECH = "speech"  # the caller speaks or dials
    RESUME = "resume"  # it was nothing: the reply goes on
    CUT = "cut"  # it was an interruption: the reply is over
    TRANSFER = "transfer"  # the caller is to be transferred
    HOLD = "hold"  # the caller puts the call on hold
    RETRIEVE = "retrieve"  # and takes it off hold, with nothing of ours to go on with
    SILENCED = "silenced"  # a person stops the agent
    TAKE_OVER = "take_over"  # and talks with the caller
    GIVE_BACK = "give_back"  # until the agent listens again
    FINISHED = "finished"  # the reply was heard to its end, or had nothing to say
    END = "end"


TRANSITIONS: dict[tuple[State, Trigger], State] = {
    (State.IDLE, Trigger.REPLY): State.PROCESSING,
    (State.LISTENING, Trigger.REPLY): State.PROCESSING,
    (State.LISTENING, Trigger.TRANSFER): State.CONNECTING,
    (State.CONNECTING, Trigger.REPLY): State.PROCESSING,
    (State.PROCESSING, Trigger.AUDIO): State.SPEAKING,
    (State.PROCESSING, Trigger.SPEECH): State.LISTENING,
    (State.PROCESSING, Trigger.FINISHED): State.LISTENING,
    (State.SPEAKING, Trigger.FINISHED): State.LISTENING,
    (State.SPEAKING, Trigger.SPEECH): State.INTERRUPTED,
    (State.INTERRUPTED, Trigger.RESUME): State.SPEAKING,
    (State.INTERRUPTED, Trigger.CUT): State.LISTENING,
    (State.PROCESSING, Trigger.SILENCED): State.LISTENING,
    (State.SPEAKING, Trigger.SILENCED): State.LISTENING,
    (State.INTERRUPTED, Trigger.SILENCED): State.LISTENING,
    (State.LISTENING, Trigger.TAKE_OVER): State.TAKEN_OVER,
    (State.TAKEN_OVER, Trigger.GIVE_BACK): State.LISTENING,
    (State.TAKEN_OVER, Trigger.TRANSFER): State.CONNECTING,
    (State.TAKEN_OVER, Trigger.HOLD): State.HOLD,
    (State.HOLD, Trigger.TAKE_OVER): State.TAKEN_OVER,
    (State.LISTENING, Trigger.HOLD): State.HOLD,
    (State.PROCESSING, Trigger.HOLD): State.HOLD,
    (State.SPEAKING, Trigger.HOLD): State.HOLD,
    (State.INTERRUPTED, Trigger.HOLD): State.HOLD,
    (State.CONNECTING, Trigger.HOLD): State.HOLD,
    (State.HOLD, Trigger.RETRIEVE): State.LISTENING,
    (State.HOLD, Trigger.REPLY): State.PROCESSING,
    (State.HOLD, Trigger.RESUME): State.SPEAKING,
    (State.HOLD, Trigger.TRANSFER): State.CONNECTING,
    **{(state, Trigger.END): State.ENDED for state in State},
}
