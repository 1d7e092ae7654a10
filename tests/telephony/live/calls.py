"""Live calls for tests: a real session and a line that carries nothing."""

from collections.abc import Callable
from typing import Any

import msgspec

from agent import events as e
from agent.session import Session
from config.agent import AgentSettings
from config.parties import Parties
from config.settings import LogSettings, Settings
from telephony.lines.ending import By, End
from telephony.live.acts import Acts
from telephony.live.live_call import LiveCall
from telephony.records.call_id import first_id
from telephony.records.call_record import Act
from tests.telephony.server.quiet_line import QuietLine

STARTED_MS = 1_777_600_800_000
WORDS = LogSettings(words=True)
DESK = AgentSettings(name="desk", transfers={"person": "+15550100199"})


class Line(QuietLine):
    """Remembers whether it reports what it sends."""

    parties = Parties("+15550100123", "+15550100199", "Ann <b>Lee</b>")
    reports = False
    playing = b""

    def recent(self, ms: int) -> bytes:
        return self.playing

    def report_sent(self, *, on: bool) -> None:
        self.reports = on


def live_call(number: int = 1, *, log: LogSettings = WORDS, rate: int = 8000, recorded: bool = False) -> LiveCall:
    """A call that has been answered, and whose agent greets."""
    line = Line(f"CA{number}")
    line.rate = rate
    session = Session(line.call_id, "desk", Settings())
    session.start()
    call = LiveCall(first_id(STARTED_MS + number), line, "desk", session, log, started=STARTED_MS, recorded=recorded)
    call.begin()
    return call


def acts_on(call: LiveCall, **more: Any) -> tuple[Acts, list[e.Event], list[Act]]:
    """What is done with it, the events it leads to, and the acts on record."""
    events: list[e.Event] = []
    record: list[Act] = []

    def give(event: e.Event) -> None:
        events.append(event)
        call.session.handle(event)

    keep: Callable[[Act], None] = record.append
    usual: dict[str, Any] = {"instructable": True, "numbers": "masked"}
    return Acts(call, DESK, give=give, record=keep, **(usual | more)), events, record


def end(call: LiveCall, by: By = "caller") -> None:
    """The line is gone."""
    call.line.ending.finish(End("over", by=by))


def events(data: bytes) -> list[tuple[str, Any]]:
    """Server-sent events, each with its kind and its data; comments are left out."""
    found = []
    for block in data.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if lines:
            found.append((lines["event"], msgspec.json.decode(lines["data"])))
    return found
