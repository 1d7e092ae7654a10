"""One call on record, as plain data. Times are Unix time in milliseconds, UTC; durations are milliseconds."""

from typing import Any, Literal

import msgspec

Status = Literal["active", "ended", "broken_off"]
STATUSES: tuple[str, ...] = ("active", "ended", "broken_off")
DIRECTIONS = ("inbound", "outbound")


class Turn(msgspec.Struct, frozen=True):
    """A turn of the transcript. Of the agent's, the words that the caller heard."""

    role: str  # "caller" or "agent"
    text: str
    at_ms: int  # media time: audio received since the call began
    interrupted: bool = False


class ToolRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool that ran. The last three are empty where `log.words` is off."""

    name: str
    at_ms: int
    ok: bool
    arguments: dict[str, Any] = {}
    result: dict[str, Any] = {}
    error: str = ""


class Act(msgspec.Struct, frozen=True):
    """What an operator has done with a call."""

    at: int  # Unix time in ms
    who: str
    act: str  # say, instruct, press, transfer, hangup, recording, takeover, giveback
    details: dict[str, Any] = {}  # without words, numbers and keys as far as the log has none


class CallRecord(msgspec.Struct, frozen=True):
    """The state of one call. `seq` counts its states: a later one replaces an earlier one whole."""

    id: int  # see call_id.py
    seq: int
    host: str  # the server: its machine and data folder
    run: str  # of that server, from its start to its end
    status: Status = "active"
    call: str = ""  # the id in the log; the carrier's own id if the carrier gives one
    carrier_id: str = ""
    line: str = ""  # twilio, sip, browser
    trunk: str = ""
    direction: str = "inbound"
    caller: str = ""  # the parties as far as log.numbers allows
    called: str = ""
    caller_name: str = ""
    forwarded_from: str = ""
    agent: str = ""
    started: int = 0
    answered: int | None = None
    ended: int | None = None
    updated: int = 0  # the time of this state
    ended_by: str = ""  # caller, called, agent, operator, server or line
    reason: str = ""
    outcome: str = ""  # hangup, transfer or failed; of an unanswered call its last state, such as busy
    transfer: str = ""  # to where, as far as log.numbers allows
    turns: int = 0  # of the caller, that were answered
    barge_ins: int = 0
    resumes: int = 0  # pauses that were no interruption
    replies_failed: int = 0
    latency_p50: int | None = None  # the caller's last speech to the answer's first audio
    latency_p95: int | None = None
    latency_max: int | None = None
    latency_worst_turn: int | None = None  # its number, from 1
    media_ms: int = 0  # audio received from the caller, gaps filled
    frames: int = 0
    frames_late: int = 0
    frames_damaged: int = 0
    gaps: int = 0
    gap_ms: int = 0  # audio that was missing
    loss: float = 0.0  # gap_ms as a share of media_ms, 0..1
    underruns: int = 0
    tape: str = ""  # the file's name in `tapes`
    recording: str = ""  # its name
    transcript: tuple[Turn, ...] = ()  # empty where log.words is off
    tools: tuple[ToolRun, ...] = ()
    fields: dict[str, str] = {}  # what the dialogue has filled, for hooks.after_call only: not stored with the call
    acts: tuple[Act, ...] = ()  # of operators

    @property
    def over(self) -> bool:
        """Whether no later state will come."""
        return self.status != "active"


# Kept beside each other: a list of calls needs the first, and what people said is long.
TEXTS = ("transcript", "tools")
FIELDS = tuple(field for field in CallRecord.__struct_fields__ if field not in (*TEXTS, "acts", "fields"))
COSTS = ("cost_micros", "cost_currency")  # of a row, filled in by others; a state of the call leaves them alone
