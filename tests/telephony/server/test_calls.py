"""The calls of one server: their places, their time, and their end."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from agent.engine.profiles import build_engine
from agent.listening.vad import Vad
from agent.records import Records
from config.agent import AgentSettings
from config.parties import Parties
from config.settings import Settings, load_settings
from telephony.lines.admission import Admission
from telephony.lines.ending import HangUp, Transfer
from telephony.lines.exceptions import ProtocolError
from telephony.lines.metrics import Metrics
from telephony.lines.outcomes import Outcomes
from telephony.server.agents import Agents, Edition
from telephony.server.bridge import Shared
from telephony.server.calls import SPARE_LINES, Calls
from telephony.timing.figures import Figures
from tests.simulated import quick
from tests.telephony.server.quiet_line import QuietLine

AGENTS = {"desk": AgentSettings(name="desk")}


class Desk:
    """The calls of a server with two places."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        changes = {key.replace("__", "."): value for key, value in changes.items()}
        self.settings: Settings = load_settings(
            None, quick() | {"call.capacity": 2, "server.data": str(folder)} | changes
        )
        self.metrics = Metrics()
        self.shared = Shared(
            self.settings,
            build_engine(self.settings.engine, AGENTS),
            Vad(),
            self.metrics,
            Records(folder),
            Figures(lambda: self.settings.targets, self.metrics, time.monotonic),
        )
        self.admission = Admission(2, 60, time.monotonic)
        self.outcomes = Outcomes(60, time.monotonic)
        agents = Agents(Edition(agent, name) for name, agent in AGENTS.items())
        self.calls = Calls(self.shared, agents, self.admission, self.outcomes)

    def join(self, call_id: str) -> QuietLine:
        """A line that has opened, with its conversation."""
        line = QuietLine(call_id)
        self.calls.enter(line)
        line.listener = self.calls.join(line, "desk")
        return line

    def metric(self, name: str) -> float:
        return float(self.metrics.registry.get_sample_value(*self._sample(name)) or 0)

    @staticmethod
    def _sample(name: str) -> tuple[str, dict[str, str]]:
        name, _, outcome = name.partition("/")
        return name, {"outcome": outcome} if outcome else {}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_an_agent_that_is_not_there_is_refused_and_takes_no_place(desk: Desk) -> None:
    with pytest.raises(ProtocolError) as refused:
        desk.calls.join(QuietLine(), "nobody")
    assert (refused.value.code, refused.value.reason) == (1008, "there is no agent 'nobody'")
    assert desk.admission.free == 2


async def test_calls_beyond_the_capacity_and_second_streams_are_refused(desk: Desk) -> None:
    first = desk.join("CA1")
    with pytest.raises(ProtocolError) as refused:
        desk.calls.join(QuietLine("CA1"), "desk")
    assert refused.value.code == 1013
    second = desk.join("CA2")
    with pytest.raises(ProtocolError):
        desk.calls.join(QuietLine("CA3"), "desk")
    for line in (first, second):
        await line.end()


async def test_the_end_of_a_call_frees_its_place_and_keeps_what_follows(desk: Desk) -> None:
    line = desk.join("CA1")
    assert (desk.admission.active, len(desk.calls)) == (1, 1)
    await line.end(Transfer("+15550100"))
    desk.calls.leave(line)
    assert (desk.admission.active, len(desk.calls)) == (0, 0)
    assert desk.outcomes.get("CA1") == Transfer("+15550100")
    assert desk.outcomes.get("CA2") == HangUp()
    assert desk.metric("voxline_calls_total/transfer") == 1
    assert desk.metric("voxline_calls_total/refused") == 0
    assert desk.metric("voxline_frames_total") == 50


async def test_a_line_that_leaves_before_it_was_joined_counts_as_refused(desk: Desk) -> None:
    line = QuietLine()
    desk.calls.enter(line)
    desk.calls.leave(line)
    assert desk.metric("voxline_calls_total/refused") == 1


async def test_a_conversation_that_cannot_begin_keeps_no_place(desk: Desk) -> None:
    class NoTapes:
        def open(self, call_id: str) -> Any:
            raise OSError("no space left on device")

    desk.shared.tapes = NoTapes()  # type: ignore[assignment]
    with pytest.raises(OSError, match="no space left"):
        desk.calls.join(QuietLine(), "desk")
    assert desk.admission.free == 2


async def test_every_line_sends_before_any_is_heard(desk: Desk) -> None:
    told: list[str] = []
    for name in ("CA1", "CA2"):
        desk.calls.enter(QuietLine(name, told))
    desk.calls.tick(10)
    assert sorted(told[:2]) == ["CA1 tick", "CA2 tick"]
    assert sorted(told[2:]) == ["CA1 hear", "CA2 hear"]
    desk.calls.watch(500)
    assert sorted(told[4:]) == ["CA1 watch", "CA2 watch"]


async def test_lines_beyond_the_spare_ones_are_too_many(desk: Desk) -> None:
    for number in range(2 + SPARE_LINES - 1):
        desk.calls.enter(QuietLine(f"CA{number}"))
    assert not desk.calls.crowded
    desk.calls.enter(QuietLine("CA"))
    assert desk.calls.crowded


@pytest.mark.looptime
async def test_the_last_calls_of_a_drain_are_said_goodbye_to_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path, server__drain_s=10, server__drain_goodbye_s=4)
    line, refused = desk.join("CA1"), QuietLine("CA2")
    desk.calls.enter(refused)
    clock = asyncio.get_running_loop().time
    begin = clock()
    draining = asyncio.create_task(desk.calls.drain())
    await asyncio.sleep(5.9)
    assert line.told == []
    await asyncio.sleep(0.2)
    assert line.told == ["CA1 shut_down"]
    await draining
    assert clock() - begin == pytest.approx(10, abs=0.1)
    assert line.told == ["CA1 shut_down"]
    assert refused.told == []
    await line.end()


@pytest.mark.looptime
async def test_a_drain_ends_with_the_last_call(tmp_path: Path) -> None:
    desk = Desk(tmp_path, server__drain_s=60)
    line = desk.join("CA1")
    clock = asyncio.get_running_loop().time
    begin = clock()
    draining = asyncio.create_task(desk.calls.drain())
    await asyncio.sleep(2)
    assert not draining.done()
    await line.end()
    desk.calls.leave(line)
    await draining
    assert clock() - begin == pytest.approx(2, abs=0.2)


@pytest.mark.looptime
async def test_a_drain_waits_for_a_stream_that_is_still_to_come(tmp_path: Path) -> None:
    desk = Desk(tmp_path, server__drain_s=60, twilio__start_timeout_s=3)
    desk.admission.reserve("CA1", Parties("+15550100"))
    begin = asyncio.get_running_loop().time()
    await desk.calls.drain()
    assert asyncio.get_running_loop().time() - begin == pytest.approx(3, abs=0.2)
