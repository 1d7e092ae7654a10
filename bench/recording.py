"""What recorded calls cost: the writer's share of a core, and a frame's time on the line. python -m bench.recording

Two people take turns: real speech on the left, espeak-ng's voice on the right. CPU time, so that other processes on the
machine matter little; files go to a temporary folder.
"""

import argparse
import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from agent.engine.embedded.synthesizer import say
from audio import wav
from audio.rate import FRAME_MS, RATE
from audio.resample import resample
from bench.machine import keep, table
from bench.sounds import SPEECH
from config.logging import Log
from telephony.files.backlog import Backlog
from telephony.recordings.recording import Recording
from telephony.recordings.recording_file import RecordingFile

CALLS = 40
FORMS: tuple[Literal["opus", "wav"], ...] = ("opus", "wav")
LOG = Log(logging.getLogger("bench"), {})


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every format at both rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="length of each call (default %(default)s)")
    parser.add_argument("--calls", type=int, default=4, help="calls measured; the cost is linear (default %(default)s)")
    parser.add_argument("--results", type=Path, help="folder for the results (default bench/results)")
    options = parser.parse_args(arguments)
    runs = [measure(form, rate, options.calls, options.seconds) for form in FORMS for rate in (RATE, 2 * RATE)]
    columns = ["format, Hz", f"{CALLS} calls, % of a core", "frame on the line, µs", "MB an hour"]
    rows = [
        [f"{run['format']}, {run['rate']}", run["core_percent"], run["frame_us"], run["mb_per_hour"]] for run in runs
    ]
    table("Recording", columns, rows)
    print(f"\nwritten to {keep('recording', {'calls': CALLS, 'runs': runs}, options.results)}")


def measure(form: Literal["opus", "wav"], rate: int, calls: int, seconds: int) -> dict[str, Any]:
    """`calls` of so many seconds each, second by second as the writer does."""
    left, right = conversation(rate, seconds)
    size = 2 * FRAME_MS * rate // 1000
    line_s = writer_s = 0.0
    with tempfile.TemporaryDirectory() as folder:
        waiting = Backlog(1 << 30)
        recordings = [Recording(f"bench-{number}", rate, LOG, waiting) for number in range(calls)]
        files = [RecordingFile(recording, Path(folder), form) for recording in recordings]
        for second in range(seconds):
            begin = time.process_time()
            for recording in recordings:
                for at in range(2 * second * rate, 2 * (second + 1) * rate, size):
                    recording.agent(right[at : at + size])
                    recording.caller(left[at : at + size])
            line_s += time.process_time() - begin
            begin = time.process_time()
            for file in files:
                file.flush()
            writer_s += time.process_time() - begin
        for file in files:
            file.finish()
        written = sum(file.path.stat().st_size for file in files)
    frames = calls * seconds * 1000 / FRAME_MS
    return {
        "format": form,
        "rate": rate,
        "core_percent": round(100 * CALLS * writer_s / (calls * seconds), 1),
        "frame_us": round(1e6 * line_s / frames, 2),
        "mb_per_hour": round(written / calls / seconds * 3600 / 1e6, 1),
    }


def conversation(rate: int, seconds: int) -> tuple[bytes, bytes]:
    """Both sides as PCM16, each of them speaking for half of the time."""
    speech, speech_rate = wav.read(SPEECH / "librivox-0870.wav")
    voice, voice_rate = say("We are open from ten to six, every day but Monday. What else can I do for you?")
    sides = [resample(speech, speech_rate, rate), resample(voice, voice_rate, rate)]
    turn = 4 * rate
    count = seconds * rate
    said = [np.resize(side, count) * ((np.arange(count) // turn + place) % 2) for place, side in enumerate(sides)]
    left, right = ((32_000 * side).clip(-32_768, 32_767).astype("<i2").tobytes() for side in said)
    return left, right


if __name__ == "__main__":
    main()
