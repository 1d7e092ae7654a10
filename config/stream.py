"""The limits of a line that streams audio over a WebSocket; each such carrier's group of settings derives from them."""

from typing import Annotated

from pydantic import Field

from config.group import Group, Milliseconds, Seconds


class StreamSettings(Group):
    """What one stream may do, and for how long."""

    start_timeout_s: Seconds = 5
    media_timeout_s: Seconds = 10
    send_timeout_s: Seconds = 5
    max_message_bytes: int = Field(default=65_536, ge=1024, le=16_777_216)
    max_gap_ms: Milliseconds = 5000
    max_ahead_s: Annotated[Seconds, Field(gt=0)] = 10
    token_lifetime_s: Annotated[Seconds, Field(gt=0)] = 60
