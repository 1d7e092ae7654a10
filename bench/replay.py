"""A thousand replays of the scripted calls in tests/calls. `make bench-replay`, or python -m bench.replay --help.

The calls are made once against a real server and taped; every replay must give the same decisions, to the bit. Prints
how much faster than the calls the replays are on one core, and writes bench/results/replay-DATE.json.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from agent import events as e
from agent.listening.vad import Vad
from agent.tape.format import Header, settings_of
from agent.tape.reader import Step
from agent.tape.replay import judged_anew, replay
from audio.rate import RATE
from bench.machine import keep, table
from bench.sounds import speak_to_file
from telephony.server.process import ServerProcess
from telephony.simulator.call import run_call
from telephony.simulator.report import distribution
from telephony.simulator.script import Script, load_script
from telephony.tapes.replay import find_tapes, open_tape

SCRIPTS = Path(__file__).parent.parent / "tests" / "calls"
SETTINGS: dict[str, Any] = {"tape.mode": "full", "turn.reprompt_ms": 3000, "turn.max_reprompts": 1}
AT_ONCE = 6  # calls; more would delay each other's recognition on two cores

Tape = tuple[Header, list[Step]]


def main() -> int:
    """Make the calls, replay them, show the figures; 1 when a replay differed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1000, help="replays of all calls (default %(default)s)")
    parser.add_argument("--vad-times", type=int, default=20, help="with the VAD recomputed (default %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_calls(Path(folder))
        tapes = [open_tape(path) for path in find_tapes([Path(folder) / "tapes"])]
    results = {
        "as recorded": replays(tapes, options.times, recompute=False),
        "VAD recomputed": replays(tapes, options.vad_times, recompute=True),
    }
    columns = ["replays", "calls", "different", "times real time p50", "slowest"]
    table("Replays of all calls on one core", ["", *columns], [[name, *row.values()] for name, row in results.items()])
    print(f"\nwritten to {keep('replay', results)}")
    return 1 if any(row["different"] for row in results.values()) else 0


def make_calls(folder: Path) -> None:
    """Run every script against one server, which tapes into `folder`/tapes."""
    shutil.copytree(SCRIPTS, folder / "scripts")
    speak_to_file("We're open Monday to Friday, from nine in the morning.", folder / "scripts" / "echo.wav")
    scripts = [load_script(path) for path in sorted((folder / "scripts").glob("*.yaml"))]
    with ServerProcess({**SETTINGS, "server.data": str(folder)}) as server:
        asyncio.run(_call_all(server.url, scripts))


async def _call_all(url: str, scripts: list[Script]) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(script: Script) -> None:
        async with places:
            await run_call(url, script)

    await asyncio.gather(*map(one, scripts))


def replays(tapes: list[Tape], times: int, *, recompute: bool) -> dict[str, Any]:
    """Replay all tapes this many times; with `recompute` the speech probabilities are computed again from the audio."""
    media_s = sum(_media_s(steps) for _, steps in tapes)
    different, speeds = 0, []
    for _ in range(times):
        begin = time.process_time()
        judged = judged_anew([steps for _, steps in tapes], _detector(tapes)) if recompute else [s for _, s in tapes]
        for (head, _), steps in zip(tapes, judged, strict=True):
            done = replay(head, steps)
            if done.difference:
                different += 1
                print(f"{head.call}: {done.difference}", file=sys.stderr)
        speeds.append(media_s / (time.process_time() - begin))
    found = distribution(speeds)
    return {
        "replays": times,
        "calls": times * len(tapes),
        "different": different,
        "times real time": found.p50,
        "slowest": min(speeds),
    }


def _detector(tapes: list[Tape]) -> Vad:
    return Vad(settings_of(tapes[0][0]).turn.vad_reset_ms)


def _media_s(steps: list[Step]) -> float:
    return sum(len(step.event.pcm) for step in steps if isinstance(step.event, e.CallerAudio)) / 2 / RATE


if __name__ == "__main__":
    sys.exit(main())
