"""Turn-taking over the phone line: gaps, cut-offs, interruptions. `make bench-turns`, or python -m bench.turns --help.

Real servers, real sockets, callers with espeak voices and human recordings at three levels of line noise; every call
is taped, and the figures are read from the tapes and from what the callers heard. Prints tables and writes
bench/results/turns-DATE.json.
"""

import argparse
import asyncio
import os
import tempfile
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from agent.engine.base import FloatArray
from agent.engine.embedded.synthesizer import say
from bench.carrier import Carrier
from bench.machine import keep, table
from config.settings import Settings
from telephony.audio import g711, resample, wav
from telephony.caller.call import run_call
from telephony.caller.clip import find_speech
from telephony.caller.report import CallReport, distribution
from telephony.caller.script import Script
from telephony.playout import Playout
from telephony.process import ServerProcess
from telephony.tape import read_lines
from telephony.tools.replay import find_tapes

SPEECH = Path(os.environ.get("VOXLINE_SPEECH", Path(__file__).parent.parent.parent / "shared" / "speech"))
NOISE_DBFS = (-70, -50, -40)
PAUSES_MS = (0, 150, 220, 300, 350, 500, 700)
VOICE = "en-us+adam"
LEVEL_DBFS = -20.0
SENTENCES = (
    ("Yes,", "that is right."),
    ("I'd like to book an appointment", "on Monday at nine o'clock."),
    ("Could you tell me", "your opening hours?"),
    ("What's your", "address, please?"),
    ("On Wednesday", "at three o'clock."),
)
AT_ONCE = 6  # calls; recognition on two cores takes no more without delaying the audio
ASK = "What are your opening hours?"  # its answer is long enough to be talked over
REAL = ("No.", "Stop.", "Wait.", "No, wait, that is not what I meant.", "I'd like to book an appointment.")
BACKCHANNELS = ("uh huh", "umhum")  # as espeak-ng must be told to say "uh-huh" and "mm-hmm"

Line = dict[str, Any]


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one setting of the server")
    options = parser.parse_args()
    changes = dict(item.split("=", 1) for item in options.set)
    results: dict[str, Any] = {"latency": latency(changes), "samples": samples(), "noise": {}}
    for noise in NOISE_DBFS:
        results["noise"][str(noise)] = conversation(noise, changes)
    show(results["noise"])
    print(f"\nwritten to {keep('turns', results)}")


# The machine's own part of the gap


def latency(changes: dict[str, Any]) -> list[Line]:
    """Turn decided → first audio on the wire, beyond the engine's delays: an engine of none, and one that is ready."""
    rows = []
    kinds = {"engine without delay": 0, "engine of 100 + 100 ms, early reply": 100}
    for name, delay in kinds.items():
        delays = {"first_word_ms": delay, "word_ms": 0, "first_audio_ms": delay}
        engine = {"profile": "simulated", "simulated": delays}
        settings = {"engine": engine, "turn.adapt_reply": False, **changes}
        if not delay:
            settings["turn.eager_attempts"] = 0
        steps: list[Any] = ["wait", *(step for _ in range(6) for step in ({"say": ASK}, "wait"))]
        _, tapes = calls([Script(name=f"latency {number}", voice=VOICE, steps=steps) for number in range(8)], settings)
        found = distribution(value for tape in tapes for value in _decided_to_audio(tape))
        rows.append({"case": name, "count": found.count, "p50": found.p50, "p95": found.p95, "max": found.max})
    table("Turn decided → first audio on the wire, ms", list(rows[0]), [list(row.values()) for row in rows])
    return rows


def _decided_to_audio(tape: list[Line]) -> Iterable[float]:
    decided: dict[int, float] = {}
    for line in tape:
        for command in line.get("commands", []):
            if command["type"] == "TurnDecided" and command["cue"] == "answer":
                decided[command["reply"]] = line["clock"]
        if line.get("out") == "media" and (begun := decided.pop(line["reply"], None)):
            yield line["clock"] - begun


# Pause and resume


def samples() -> Line:
    """A thousand pauses, resumed: samples lost or doubled at an ear 0 and 40 ms away."""
    lost = doubled = pauses = 0
    chance = np.random.default_rng(0)
    for number in range(20):
        carrier = Carrier(Playout(Settings().playout), 40 * (number % 2))
        sound = chance.integers(-20_000, 20_000, 8 * 12_000).astype("<i2")
        marks = [float(at) for at in accumulate(chance.integers(100, 400, 30)) if at < 12_000]
        carrier.playout.add(1, sound.tobytes(), marks)
        for _ in range(50):
            carrier.run(int(chance.integers(1, 200)))
            carrier.pause(int(chance.integers(0, 300)))
            pauses += 1
        carrier.run(100)
        carrier.run(12_000, step=5)
        heard = np.zeros(len(sound), np.int64)
        for position, part in carrier.ear():
            heard[position : position + len(part)] += part
        lost += int(np.count_nonzero(np.abs(heard) < np.abs(sound.astype(np.int64))))
        doubled += int(np.count_nonzero(np.abs(heard) > np.abs(sound.astype(np.int64))))
    row = {"pauses": pauses, "samples lost": lost, "samples doubled": doubled}
    table("Pause and resume, exact to the sample", list(row), [list(row.values())])
    return row


# Conversations


def conversation(noise: float, changes: dict[str, Any]) -> Line:
    """All cases at one level of line noise."""
    with tempfile.TemporaryDirectory() as folder:
        files = {
            (pause, half): _paused_sentences(Path(folder), pause)[half::2] for pause in PAUSES_MS for half in (0, 1)
        }
        cases: list[tuple[str, str, Any, Script]] = [
            ("pauses", str(pause), found, _turns_script(found, noise)) for (pause, _), found in files.items()
        ]
        cases += [
            ("over", kind, None, _over_script(sound, 1000 + 230 * number, noise))
            for kind, sounds in _sounds_over(Path(folder)).items()
            for number, sound in enumerate(sounds)
        ]
        reports, tapes = calls([script for *_, script in cases], changes)
    result: Line = {"pauses": {}, "over": {}}
    for (part, name, found, _), report, tape in zip(cases, reports, tapes, strict=True):
        figures = _cut_offs(report, tape, found) if part == "pauses" else _over(report, tape)
        before = result[part].get(name)
        result[part][name] = {key: before[key] + figures[key] for key in figures} if before else figures
    result["unheard words"] = sum(_unheard_words(tape) for tape in tapes)
    return result


def _paused_sentences(folder: Path, pause_ms: int) -> list[tuple[Path, float]]:
    """Sentences with a pause of true silence in them: files, and where their second part begins, in ms."""
    made = []
    parts: list[tuple[FloatArray, FloatArray]] = [
        (_trimmed(first), _trimmed(second)) for first, second in (map(_spoken, pair) for pair in SENTENCES)
    ]
    parts += [_halves(path) for path in sorted(SPEECH.glob("librivox-*.wav"))]
    for number, (first, second) in enumerate(parts):
        silence = np.zeros(8 * pause_ms, np.float32)
        path = folder / f"paused-{pause_ms}-{number}.wav"
        _write(path, np.concatenate([first, silence, second]))
        made.append((path, (len(first) + len(silence)) / 8))
    return made


def _write(path: Path, audio: FloatArray) -> None:
    wav.write(path, [np.frombuffer(resample.to_pcm16(audio), "<i2")], g711.RATE)


def _spoken(text: str) -> FloatArray:
    return resample.resample(*say(text, VOICE, 0.9), g711.RATE)


def _trimmed(audio: FloatArray) -> FloatArray:
    start, end = find_speech(audio)
    return audio[start:end]


def _halves(path: Path) -> tuple[FloatArray, FloatArray]:
    """A human sentence, cut at its quietest moment near the middle; at most 5 s of it."""
    audio = _trimmed(resample.resample(*wav.read(path), g711.RATE))[: 8 * 5000]
    middle = audio[len(audio) // 3 : 2 * len(audio) // 3]
    energy = np.convolve(middle**2, np.ones(400), "valid")
    cut = len(audio) // 3 + int(np.argmin(energy)) + 200
    return _trimmed(audio[:cut]), _trimmed(audio[cut:])


def _turns_script(files: list[tuple[Path, float]], noise: float) -> Script:
    steps: list[Any] = ["wait"]
    for path, _ in files:
        steps += [{"wav": str(path)}, {"wait": {"quiet_ms": 900}}]
    return _script(steps, noise)


def _script(steps: list[Any], noise: float) -> Script:
    return Script(
        name="turns",
        voice=VOICE,
        speed=0.9,
        level_dbfs=LEVEL_DBFS,
        noise_floor_dbfs=noise,
        timeout_ms=20_000,
        steps=steps,
    )


def _sounds_over(folder: Path) -> dict[str, list[Line]]:
    """What is said or heard over the agent, by its kind."""
    echo = _spoken_by_agent(folder)
    return {
        "real words": [{"say": text} for text in REAL],
        "real people": [{"wav": str(path.resolve())} for path in sorted(SPEECH.glob("*.wav"))],
        "uh-huh, mm-hmm": [
            {"say": text, "voice": voice, "answer": False} for text in BACKCHANNELS for voice in (VOICE, "en-us+klatt4")
        ],
        "babble -8 dB": [
            {"noise": {"kind": "babble", "ms": ms, "level_dbfs": LEVEL_DBFS - 8}} for ms in (400, 900, 1800)
        ],
        "babble -18 dB": [
            {"noise": {"kind": "babble", "ms": ms, "level_dbfs": LEVEL_DBFS - 18}} for ms in (400, 900, 1800)
        ],
        "cough": [{"noise": {"kind": "cough", "ms": ms, "level_dbfs": LEVEL_DBFS}} for ms in (200, 400)],
        "white noise": [{"noise": {"kind": "white", "ms": ms, "level_dbfs": LEVEL_DBFS - 5}} for ms in (300, 1000)],
        "echo": [{"wav": str(echo), "level_dbfs": LEVEL_DBFS - db, "answer": False} for db in (10, 20, 30)],
    }


def _spoken_by_agent(folder: Path) -> Path:
    path = folder / "echo.wav"
    audio, rate = say("Monday to Friday, from nine in the morning")
    _write(path, resample.resample(audio, rate, g711.RATE))
    return path


def _over_script(sound: Line, after_ms: int, noise: float) -> Script:
    return _script(["wait", {"say": ASK}, {"interrupt": {"after_ms": after_ms, **sound}}, {"wait": {}}], noise)


def _commands(tape: list[Line], kind: str) -> list[Line]:
    return [
        {"clock": line["clock"], "at": line["at"], **command}
        for line in tape
        for command in line.get("commands", [])
        if command["type"] == kind
    ]


def _cut_offs(report: CallReport, tape: list[Line], files: list[tuple[Path, float]]) -> Line:
    """Turns that were decided inside the pause, and the gaps after those that were not."""
    decided = [line["at"] for line in _commands(tape, "TurnDecided") if line["cue"] == "answer"]
    early, gaps = 0, []
    for turn, (_, second_ms) in zip(report.turns, files, strict=False):
        early += any(turn.onset_ms < at < turn.onset_ms + second_ms for at in decided)
        if turn.voice_to_voice_ms is not None and turn.voice_to_voice_ms > 0:
            gaps.append(turn.voice_to_voice_ms)
    return {"turns": len(report.turns), "cut off": early, "gaps": gaps}


def _over(report: CallReport, tape: list[Line]) -> Line:
    """What became of the sounds over the agent."""
    pauses, ends = _commands(tape, "Pause"), _commands(tape, "Interrupted")
    row: Line = {"sounds": 0, "paused": 0, "ended": 0, "pause ms": [], "interrupt ms": []}
    for item in report.interruptions:
        row["sounds"] += 1
        until = item.onset_ms + 4000
        pause = next((line["at"] for line in pauses if item.onset_ms <= line["at"] < until), None)
        end = next((line["at"] for line in ends if item.onset_ms <= line["at"] < until), None)
        row["paused"] += pause is not None
        row["ended"] += end is not None
        row["pause ms"] += [pause - item.onset_ms] if pause is not None else []
        row["interrupt ms"] += [end - item.onset_ms] if end is not None else []
    return row


def _unheard_words(tape: list[Line]) -> int:
    """Words of interrupted turns in the history that end beyond what the line had played by its `clear`, reckoned from
    the wire alone."""
    words: dict[int, list[float]] = {}
    length: dict[int, float] = {}
    ends = played = 0.0
    spoken: dict[int, float] = {}  # reply → ms played before its last clear
    unheard = 0
    for line in tape:
        event = line.get("event", {})
        if event.get("type") == "ReplyAudio":
            reply, start = event["reply"], length.get(event["reply"], 0.0)
            words.setdefault(reply, []).extend(start + word["end_ms"] for word in event.get("words", []))
            length[reply] = start + len(msgspec.json.decode(f'"{event["ulaw"]}"', type=bytes)) / 8
        if line.get("out") == "media":
            block = len(msgspec.json.decode(f'"{line["ulaw"]}"', type=bytes)) / 8
            ends = max(ends, line["clock"]) + block
            played = line["position"] / 8 + block
            spoken[line["reply"]] = played - max(0.0, ends - line["clock"])
            last = line["reply"]
        if line.get("out") == "clear" and spoken:
            spoken[last] = played - max(0.0, ends - line["clock"])
            ends = line["clock"]
        for command in line.get("commands", []):
            if command["type"] == "Interrupted":
                heard = len(command["heard"].split())
                there = words.get(command["reply"], [])[:heard]
                unheard += sum(end > spoken.get(command["reply"], 0.0) + 40 for end in there)
    return unheard


# Calls


def calls(scripts: list[Script], settings: dict[str, Any]) -> tuple[list[CallReport], list[list[Line]]]:
    """All scripts against one server: what the callers say of them, and their tapes."""
    with tempfile.TemporaryDirectory() as folder:
        with ServerProcess({"tape.mode": "full", "server.data": folder, **settings}) as server:
            reports = asyncio.run(_calls(server.url, scripts))
        tapes = {}
        for path in find_tapes([Path(folder) / "tapes"]):
            lines = [msgspec.json.decode(line) for line in read_lines(path)]
            tapes[lines[0]["call"]] = lines[1:]
    return reports, [tapes[report.call_sid] for report in reports]


async def _calls(url: str, scripts: list[Script]) -> list[CallReport]:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(script: Script) -> CallReport:
        async with places:
            return await run_call(url, script, speak=say)

    return await asyncio.gather(*map(one, scripts))


def show(results: dict[str, Line]) -> None:
    """The tables, a row for each kind and a column group for each level of noise."""
    levels = list(results)
    rows = []
    for pause in PAUSES_MS:
        found = [results[level]["pauses"].get(str(pause), {}) for level in levels]
        gaps = distribution(gap for item in found for gap in item.get("gaps", []))
        cuts = [f"{item.get('cut off')} of {item.get('turns')}" for item in found]
        rows.append([f"{pause} ms", *cuts, gaps.p50, gaps.p95])
    title = "Turns cut off at a pause inside them, by line noise in dBFS; voice to voice, ms"
    table(title, ["pause", *levels, "gap p50", "p95"], rows)
    rows = []
    for kind in results[levels[0]]["over"]:
        found = [results[level]["over"][kind] for level in levels]
        pauses = distribution(value for item in found for value in item["pause ms"])
        ends = distribution(value for item in found for value in item["interrupt ms"])
        counts = [f"{item['ended']}/{item['sounds']}" for item in found]
        rows.append([kind, *counts, pauses.p50, pauses.p95, ends.p50, ends.p95])
    title = "Sounds over the agent that ended its reply, by line noise in dBFS; onset → pause and → interruption, ms"
    table(title, ["sound", *levels, "pause p50", "p95", "end p50", "p95"], rows)
    print("words in the history that were not heard:", {level: results[level]["unheard words"] for level in levels})


if __name__ == "__main__":
    main()
