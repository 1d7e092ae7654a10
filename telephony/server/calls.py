"""The calls in progress on all lines: their places, agents, clock and end."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial

from telephony.lines.admission import Admission
from telephony.lines.close_codes import CloseCode
from telephony.lines.exceptions import ProtocolError
from telephony.lines.line import Line, Listener
from telephony.lines.outbound_call import OutboundCall
from telephony.lines.outcomes import Outcomes
from telephony.server.agents import Agents, Edition
from telephony.server.bridge import Bridge, Shared

SPARE_LINES = 64  # open lines allowed beyond the capacity: those waiting for their start, or being refused
DRAIN_LOOK_S = 0.05


class Calls:
    """See Registry."""

    def __init__(self, shared: Shared, agents: Agents, admission: Admission, outcomes: Outcomes) -> None:
        self.is_ready = False
        self._shared = shared
        self._settings = shared.settings
        self._agents = agents
        self._admission = admission
        self._outcomes = outcomes
        self._lines: set[Line] = set()

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines)

    @property
    def crowded(self) -> bool:
        """See Registry."""
        return len(self._lines) >= self._settings.call.capacity + SPARE_LINES

    def enter(self, line: Line) -> None:
        """See Registry."""
        self._lines.add(line)
        self._shared.metrics.opened(line)

    def leave(self, line: Line) -> None:
        """See Registry."""
        self._lines.discard(line)
        self._shared.metrics.closed(line)
        if not line.accepted:
            self._shared.metrics.calls.labels("refused").inc()

    def join(self, line: Line, agent: str) -> Listener:
        """See Registry."""
        if self._agents.find(agent) is None:
            raise ProtocolError(CloseCode.POLICY_VIOLATION, f"there is no agent {agent[:40]!r}")
        if not self._admission.claim(line.call_id):
            raise ProtocolError(CloseCode.TRY_AGAIN_LATER, "no capacity, or this call has a stream already")
        return self.connect(line, agent)

    def connect(self, line: Line, agent: str, keys: str = "") -> Listener:
        """See Registry."""
        edition = self._agents.find(agent)
        if edition is None:  # it was removed long after it was promised
            self._admission.release(line.call_id)
            raise ProtocolError(CloseCode.POLICY_VIOLATION, f"there is no agent {agent[:40]!r}")
        line.parties = edition.agent.known_of(line.parties, line.parties.variables)
        line.log.info("started", extra={"agent": edition.name, **line.parties.shown(self._settings.log.numbers)})
        self._agents.enter(edition)
        try:
            closed = partial(self._closed, edition)
            return Bridge(self._shared, line, edition.agent, closed, keys=keys, known_as=edition.known_as)
        except Exception:
            self._agents.leave(edition)
            self._admission.release(line.call_id)
            raise

    def dialled(self, call: OutboundCall) -> None:
        """See Registry."""
        if self._shared.calls:
            self._shared.calls.dialled(call, round(1000 * time.time()))

    def _closed(self, edition: Edition, bridge: Bridge) -> None:
        """An accepted call is over: free its place and keep its outcome."""
        line = bridge.line
        self._agents.leave(edition)
        self._admission.release(line.call_id)
        self._outcomes.put(line.call_id, line.outcome)
        self._shared.metrics.calls.labels(type(line.outcome).__name__.lower()).inc()
        line.log.info("ended", extra=line.summary())

    def switch_recording(self, call_id: str, *, on: bool) -> bool:
        """Pause the recording of a call, or let it go on; False if there is no such call. Meanwhile neither the tape
        nor the log has words or keys. A secret that the agent asks for stays secret either way."""
        bridges = (line.listener for line in self._lines if line.call_id == call_id)
        bridge = next((each for each in bridges if isinstance(each, Bridge)), None)
        if bridge:
            bridge.switch_recording(on=on)
        return bridge is not None

    # Time

    def tick(self, now_ms: float) -> None:
        """Called every 10 ms."""
        for line in self._lines:  # first of all, so that audio paced here leaves on time however much there is to hear
            line.tick(now_ms)
        for line in self._lines:
            line.hear(now_ms)
        for stream, probability, at_ms in self._shared.vad.run():
            stream.tell(probability, at_ms)

    def watch(self, now_ms: float) -> None:
        """Called twice a second."""
        for line in self._lines:
            line.watch(now_ms)

    async def drain(self) -> None:
        """Wait at most `drain_s` for the calls in progress; the agent says goodbye to the last ones."""
        settings = self._settings.server
        clock = asyncio.get_running_loop().time
        begin = clock()
        told: set[Line] = set()
        while (waited := clock() - begin) < settings.drain_s:
            coming = self._admission.reserved and waited < self._settings.twilio.start_timeout_s
            if not self._lines and not coming:
                break
            if waited >= settings.drain_s - settings.drain_goodbye_s:
                for line in [line for line in self._lines if line.accepted and line not in told]:
                    told.add(line)
                    line.shut_down()
            await asyncio.sleep(DRAIN_LOOK_S)
