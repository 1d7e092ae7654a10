"""One simulated phone call over any carrier: the talk in real time, its end, its report.

Nothing here raises because of the agent's side: whatever goes wrong on the line goes into the report.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import msgspec

from audio.rate import RATE
from telephony.lines.exceptions import LineError
from telephony.simulator.clip import Clip
from telephony.simulator.measure import measure
from telephony.simulator.narrator import Narrator
from telephony.simulator.report import CallReport, Outcome
from telephony.simulator.script import Script
from telephony.simulator.talk import Talk
from telephony.simulator.ticker import Ticker

HUNG_UP = "hung up"  # by the caller
CLOSED = "closed"  # by the agent's side, or lost


class CallFailed(LineError):
    """The call cannot go on; the message says why."""


class Caller(msgspec.Struct, frozen=True):
    """The caller: what they say and when, and who is told about it. The calls of a load share one."""

    script: Script
    clips: Sequence[Clip | None]
    floor: Sequence[bytes]
    ticker: Ticker
    keep_audio: bool = False
    on_line: Callable[[str], None] | None = None


class PhoneCall(ABC):
    """One call; each carrier has its own kind. `run` is awaited once; afterwards `talk` is the record, if there was a
    talk."""

    def __init__(self, caller: Caller, url: str, call_sid: str) -> None:
        self.talk: Talk | None = None
        script = caller.script
        self.report = CallReport(
            script=script.name,
            url=url,
            call_sid=call_sid,
            expected=script.expect or "",
            steps=len(script.steps) * script.repeat,
        )
        self._caller = caller
        self._ended: asyncio.Future[str] | None = None
        self._narrator: Narrator | None = None
        self._origin = 0.0

    def hang_up(self) -> None:
        """Hang up now, wherever the script stands: that is no fault of the agent."""
        self.report.cut_short = True
        self._end(HUNG_UP)

    async def run(self) -> CallReport:
        """Make the call."""
        try:
            await self._converse()
        except LineError as error:
            self.report.outcome, self.report.error = Outcome.FAILED, str(error)
        await self._after_all()
        self._tell(f"{self._clock():7.2f}  line   ▸ {self.report.outcome} {self.report.error}".rstrip())
        return self.report

    # What carriers do

    @abstractmethod
    async def _converse(self) -> None:
        """Call, talk through `_carry`, and set the outcome. Raises LineError when the call fails."""

    @abstractmethod
    def _exchange(self, now: int) -> str:
        """Send and receive what is due. Returns why the line can no longer be used, "" while it can."""

    @property
    @abstractmethod
    def _left(self) -> bool:
        """Whether the agent's side has ended the talk."""

    async def _after_all(self) -> None:  # noqa: B027 (most carriers do nothing)
        """What the carrier does when the call is over, however it went."""

    # What they all share

    def _expect_end(self) -> None:
        """A line is being opened; it may end at any time."""
        self._ended = asyncio.get_running_loop().create_future()

    async def _carry(self, talk: Talk, welcome: str) -> None:
        """Run the script until one side ends the call. Raises CallFailed unless one side hung up."""
        ticker, script = self._caller.ticker, self._caller.script
        assert self._ended is not None
        self.talk, self._origin = talk, ticker.clock()
        self._narrator = Narrator(talk, script.quiet_ms) if self._caller.on_line else None
        self._tell(f"{0:7.2f}  line   ▸ {welcome}")
        member = ticker.add(self._tick, self._origin)
        if self.report.cut_short:  # hung up while it was still ringing
            self._end(HUNG_UP)
        try:
            async with asyncio.timeout(script.longest_call_s):
                why = await self._ended
        except TimeoutError:
            why = f"the call was not over after {script.longest_call_s} s"
        finally:
            ticker.remove(member)
            self._finish(talk)
        if why == HUNG_UP:
            self.report.outcome = Outcome.HUNG_UP_BY_CALLER
        elif why != CLOSED:
            raise CallFailed(why)

    @property
    def _on(self) -> bool:
        """Whether the talk has begun and not yet ended."""
        return self.talk is not None and self._ended is not None and not self._ended.done()

    def _end(self, why: str) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(why)

    def _now(self) -> int:
        return int((self._caller.ticker.clock() - self._origin) * RATE)

    def _clock(self) -> float:
        """Seconds on the line, for the narration."""
        return self._now() / RATE if self.talk is not None else 0.0

    def _tell(self, line: str) -> None:
        if self._caller.on_line is not None:
            self._caller.on_line(line)

    def _tick(self, _: float) -> None:
        if not self._on:
            return  # the end is handled in its turn, which may take a while among many calls
        assert self.talk is not None
        now = self._now()
        trouble = self._exchange(now)
        if self._narrator is not None:
            for line in self._narrator.look(now):
                self._tell(line)
        if self.talk.over:
            self._end(self.talk.runner.error or HUNG_UP)
        elif trouble:
            self._end(trouble)

    def _finish(self, talk: Talk) -> None:
        now = self._now()
        talk.end(now)
        if self._left:
            talk.runner.agent_left()
        measure(self.report, talk, now)
        if self._narrator is not None:
            for line in self._narrator.look(now, over=True):
                self._tell(line)
