"""What the list of live calls shows of each, as plain data. docs/live.md explains the fields."""

from typing import Any

import msgspec

LOOK_S = 0.25  # between two looks at what is new
AWAKE_S = 15.0  # without news until a viewer's proxies are kept awake
AWAKE = b": awake\n\n"


class Level(msgspec.Struct, frozen=True, gc=False):
    """dBFS of the last 250 ms, -90 for silence."""

    caller: int
    agent: int


class Said(msgspec.Struct, frozen=True):
    """A turn; without words where the log has none."""

    role: str
    text: str
    interrupted: bool
    at_ms: int


class LastSaid(msgspec.Struct, frozen=True, gc=False):
    """The last of them."""

    role: str
    text: str


class CallView(msgspec.Struct, frozen=True, gc=False):
    """One call, now. Times are Unix time in ms."""

    id: str
    call: str
    agent: str
    line: str
    direction: str
    caller: str
    called: str
    started: int
    state: str
    speaking: str
    level: Level
    turns: int
    barge_ins: int
    last: LastSaid | None
    latency_ms: int | None
    audio_ms: int | None
    private: bool
    recording: bool | None
    held: bool
    operator: str
    taken_over: bool
    wide: bool


class Calls(msgspec.Struct, frozen=True):
    """What has changed since the last one: calls that have, and the ids of those that are over."""

    at: int
    calls: list[CallView]
    gone: list[str]


class Latencies(msgspec.Struct, frozen=True):
    """What the last answer took, in ms: the caller's silence until the turn was decided, from there to the first audio
    sent, and both together."""

    turn: int
    silence_ms: int
    audio_ms: int
    latency_ms: int


def event(kind: str, data: Any) -> bytes:
    """A server-sent event. JSON has no line breaks of its own."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), msgspec.json.encode(data))
