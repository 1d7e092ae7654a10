"""What it costs to watch live calls, and how far behind the list is: python -m bench.live --help.

Sessions and live calls are real, their lines carry nothing: every 20 ms each caller has a frame, and now
and then something is said. The same is measured with nobody looking and with viewers of the list, who read what the
server would send. The socket is left out. Prints a table and writes bench/results/live-DATE.json.
"""

import argparse
import asyncio
import gc
import logging
import re
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np

from agent import events as e
from agent.session import Session
from bench.machine import keep, table
from config.agent import AgentSettings
from config.logging import Log
from config.parties import Parties
from config.settings import LogSettings, Settings
from telephony.lines.ending import Ending
from telephony.live.acts import Acts
from telephony.live.live_call import LiveCall
from telephony.live.live_calls import LiveCalls
from telephony.records.call_id import first_id

FRAME_S = 0.02
SAYS_EVERY_S = 4.0  # each call
FIRST = re.compile(rb"call 0 says this at \d+")
TARGETS = {"cpu_percent": 3.0, "behind_ms": 1000.0}


class SilentLine:
    """What a live call needs of a line."""

    outbound = False

    def __init__(self, number: int) -> None:
        self.playing = b""
        self.call_id = f"CA{number:032x}"
        self.carrier = "bench"
        self.rate = 8000
        self.parties = Parties("+15550100123", "+15550100199")
        self.ending = Ending()
        self.log = Log(logging.getLogger("bench"), {})

    def recent(self, ms: int) -> bytes:
        """See Line."""
        return self.playing[: 16 * ms]


class Calls:
    """So many calls, which talk. `told_s` is when each has said something, by its text."""

    def __init__(self, count: int) -> None:
        self.live = LiveCalls()
        self.told_s: dict[str, float] = {}
        random = np.random.default_rng(1)
        self._frames = [random.integers(-9000, 9000, 160).astype("<i2").tobytes() for _ in range(50)]
        self._calls = [self._begun(number) for number in range(count)]
        self._step = 0

    def _begun(self, number: int) -> LiveCall:
        line: Any = SilentLine(number)
        log = LogSettings(words=True)
        line.playing = b"".join(self._frames[number % 30 : number % 30 + 13])
        session = Session(line.call_id, "desk", Settings())
        session.start()
        call = LiveCall(first_id(number + 1), line, "desk", session, log, started=number, recorded=False)
        call.begin()
        agent = AgentSettings(name="desk")
        nothing: Any = lambda _: None  # noqa: E731 (twice the same)
        self.live.add(Acts(call, agent, give=nothing, record=nothing, instructable=False, numbers="off"))
        return call

    async def talk(self, seconds: float) -> float:
        """Let them talk; gives the CPU time that this process has needed, in s."""
        begun_s, cpu_s = time.monotonic(), time.process_time()
        for number in range(round(seconds / FRAME_S)):
            self._frame()
            await asyncio.sleep(max(0.0, begun_s + (number + 1) * FRAME_S - time.monotonic()))
        return time.process_time() - cpu_s

    def _frame(self) -> None:
        self._step += 1
        every = round(SAYS_EVERY_S / FRAME_S)
        for number, call in enumerate(self._calls):
            call.session.handle(e.CallerAudio(self._frames[(number + self._step) % len(self._frames)]))
            if (self._step + number) % every == 0:
                text = f"call {number} says this at {self._step}"
                if number == 0:
                    self.told_s[text] = time.monotonic()
                call.told(e.Said("agent", text, False, call.session.now_ms))

    async def watch(self, behind_ms: list[float]) -> None:
        """Read the list, and note how far behind it is, by what the first call says."""
        async with aclosing(self.live.list()) as view:
            async for data in view:
                if found := FIRST.search(data):
                    told_s = self.told_s.pop(found[0].decode(), time.monotonic())
                    behind_ms.append(1000 * (time.monotonic() - told_s))


async def measure(count: int, seconds: float, viewers: int) -> dict[str, float]:
    """With so many viewers."""
    calls, behind_ms = Calls(count), [0.0]
    gc.collect()
    gc.freeze()  # as a server does
    reading = [asyncio.create_task(calls.watch(behind_ms)) for _ in range(viewers)]
    await asyncio.sleep(0)
    cpu_s = await calls.talk(seconds)
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    gc.unfreeze()
    return {"cpu_percent": round(100 * cpu_s / seconds, 2), "behind_ms": round(max(behind_ms), 1)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Without viewers, with one and with ten."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300, help="how many are on (default 300)")
    parser.add_argument("--seconds", type=float, default=20, help="for how long each (default 20)")
    parser.add_argument("--out", type=Path, help="the folder for the results (default: bench/results)")
    options = parser.parse_args(arguments)
    found = {str(count): asyncio.run(measure(options.calls, options.seconds, count)) for count in (0, 1, 10)}
    idle = found["0"]["cpu_percent"]
    rows = [
        [count, one["cpu_percent"], round(one["cpu_percent"] - idle, 2), one["behind_ms"]]
        for count, one in found.items()
    ]
    table(f"{options.calls} live calls", ["viewers", "% of a core", "of it for them", "at most behind, ms"], rows)
    results = {"calls": options.calls, "seconds": options.seconds, "targets": TARGETS, "viewers": found}
    print("written to", keep("live", results, options.out))


if __name__ == "__main__":
    main()
