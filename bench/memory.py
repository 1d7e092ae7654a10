"""How much memory a server keeps of finished calls: python -m bench.memory --help.

Many short calls in waves, by Twilio's socket and by SIP, and the server's memory after each wave, as the operating
system counts it. The first waves fill what is kept for a while on purpose (SIP's transactions, 32 s) and the arenas of
the allocator; the growth is that of the second half. Prints a table and writes bench/results/memory-DATE.json.
"""

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import psutil

from bench.machine import keep, table
from bench.sip import SETTINGS as SIP
from bench.sip import address
from telephony.server.process import ServerProcess
from telephony.simulator.load import run_load
from telephony.simulator.script import Script

SETTINGS = {
    "engine.profile": "simulated",
    "engine.simulated.first_word_ms": 0,
    "engine.simulated.first_audio_ms": 0,
    "engine.simulated.words": 2,
    "engine.simulated.audio_ms_per_word": 100,
    "call.capacity": 500,
}
WAVE_S = 20.0
LINES: dict[str, tuple[dict[str, Any], Callable[[ServerProcess], str]]] = {
    "twilio": ({}, lambda server: server.url),
    "sip": (SIP, address),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it for both lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000, help="of each line (default %(default)s)")
    parser.add_argument("--at-once", type=int, default=60, help="callers (default %(default)s)")
    options = parser.parse_args(arguments)
    results = {line: grow(line, options.calls, options.at_once) for line in LINES}
    for line, waves in results.items():
        rows = [[wave["calls"], wave["rss_mb"]] for wave in waves]
        table(f"{line}: {growth(waves):.2f} MB for each further 1,000 calls", ["calls", "MB"], rows)
    print(f"\nwritten to {keep('memory', results)}")


def grow(line: str, calls: int, at_once: int) -> list[dict[str, Any]]:
    """Waves of calls up to this number: how many so far, and the server's memory after each wave."""
    settings, where = LINES[line]
    script = Script.model_validate({"steps": [{"silence": 200}, {"hang_up": True}]})
    with ServerProcess({**SETTINGS, **settings}) as server:
        process = psutil.Process(server.process.pid)
        waves: list[dict[str, Any]] = []
        made = 0
        while made < calls:
            report = asyncio.run(run_load(where(server), script, calls=at_once, duration_s=WAVE_S))
            made += report.calls
            time.sleep(1)
            waves.append({"calls": made, "failed": report.failed, "rss_mb": process.memory_info().rss / 1e6})
            print(
                f"{line}: {made} calls, {report.failed} failed in this wave, {waves[-1]['rss_mb']:.1f} MB", flush=True
            )
    return waves


def growth(waves: list[dict[str, Any]]) -> float:
    """MB for each further 1,000 calls, of the second half."""
    middle, last = waves[len(waves) // 2], waves[-1]
    return float(1000 * (last["rss_mb"] - middle["rss_mb"]) / max(1, last["calls"] - middle["calls"]))


if __name__ == "__main__":
    main()
