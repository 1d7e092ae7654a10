"""When what happened in one answered turn."""

import msgspec


class TurnTimes(msgspec.Struct, frozen=True):
    """Times are ms of one steady clock. What was there before the turn's decision was begun early."""

    reply: int
    silence_from: float  # the caller's last sound
    decided: float
    asked: float | None  # the model; None: it was not seen
    understood: float | None  # the recognizer's last word; None: the model hears by itself
    text: float  # the model's first word
    audio: float | None  # the synthesizer's first
    sent: float  # the first audio on its way to the caller
    words: int  # of the reply so far
