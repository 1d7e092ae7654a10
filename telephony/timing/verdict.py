"""Whether one call was as fast as wanted. Times are ms."""

from statistics import median
from typing import Any

import msgspec

from telephony.timing.figures import CallFigures, Kind, Target

LONG_REPLY_TOKENS = 250
TOKENS_A_WORD = 1.3  # in English
TESTED: tuple[Kind, ...] = ("first_word", "word_to_audio", "perceived", "interruption_response")


class Measured(msgspec.Struct, frozen=True):
    """One kind of time in a call; None: it did not occur."""

    target_ms: int
    count: int = 0
    median_ms: float | None = None
    max_ms: float | None = None
    met: bool | None = None  # whether the median is within the target


class LongReply(msgspec.Struct, frozen=True):
    """The longest reply of the call. Only a language model can be asked for a long one."""

    target_tokens: int
    words: int
    tokens: int  # as many as so many words usually are
    met: bool | None


class Verdict(msgspec.Struct, frozen=True):
    """What a test call found."""

    call: str
    ok: bool  # the call went as its script says, and no target was missed
    error: str
    times: dict[str, Measured]
    long_reply: LongReply | None
    voice_to_voice_ms: dict[str, Any]  # as the caller heard it
    concurrent_tts_triggers: int = 0
    partial_transcripts: int = 0


def measured(call: CallFigures, targets: dict[str, Target]) -> dict[str, Measured]:
    """What was wanted, and what was."""
    return {kind: _measured(call.values.get(kind, []), targets[kind].target_ms) for kind in TESTED if kind in targets}


def long_reply(call: CallFigures, *, by_model: bool) -> LongReply:
    """How long the longest reply was."""
    tokens = round(TOKENS_A_WORD * call.longest_reply_words)
    met = tokens >= LONG_REPLY_TOKENS if by_model else None
    return LongReply(LONG_REPLY_TOKENS, call.longest_reply_words, tokens, met)


def _measured(values: list[float], target_ms: int) -> Measured:
    if not values:
        return Measured(target_ms)
    middle = round(median(values), 1)
    return Measured(target_ms, len(values), middle, max(values), middle <= target_ms)
