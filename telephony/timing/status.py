"""What /streaming_metrics tells: the switches, and what was measured. Times are ms."""

from typing import Any

import msgspec

from telephony.timing.figures import CallFigures, Spread, Target


class Status(msgspec.Struct):
    """Which switches are on, and what was measured."""

    by_model: bool  # replies are written by a language model
    switches: dict[str, bool]
    changed: dict[str, Any]  # settings, by key, that differ from those the server was started with
    kept: dict[str, Any]  # those of them that survive a restart
    counts: dict[str, float]
    targets: dict[str, Target]
    since_start: dict[str, Spread]
    last_5_minutes: dict[str, Spread]
    avg_first_token_ms: float | None
    avg_first_audio_ms: float | None
    calls: list[CallFigures] = []  # the latest, or the one that was asked for
