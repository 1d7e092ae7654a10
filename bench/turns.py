"""Turn-taking over the phone line: gaps, cut-offs, interruptions. `make bench-turns`, or python -m bench.turns --help.

Real servers, real sockets, callers with espeak voices and human recordings at three levels of line noise; every call
is taped, and the figures are read from the tapes and from what the callers heard. Prints tables and writes
bench/results/turns-DATE.json.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from agent.tape.file import read_lines
from bench import eot
from bench.carrier import Carrier
from bench.machine import keep, table
from bench.sounds import ASK, VOICE, over_script, paused_sentences, sounds_over, turns_script
from config.settings import Settings
from telephony.lines.playout import Playout
from telephony.server.process import ServerProcess
from telephony.simulator.call import run_call
from telephony.simulator.report import CallReport, distribution
from telephony.simulator.script import Script
from telephony.tapes.replay import find_tapes

NOISE_DBFS = (-70, -50, -40)
PAUSES_MS = (0, 150, 220, 300, 350, 500, 700)
AT_ONCE = 6  # calls; recognition on two cores takes no more without delaying the audio

Line = dict[str, Any]


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one setting of the server")
    parser.add_argument("--eot-bench", metavar="FOLDER", help="only eot-bench's measure, on its set: see bench.eot")
    options = parser.parse_args()
    if options.eot_bench:
        eot.main(["--eot-bench", options.eot_bench])
        return
    changes = dict(item.split("=", 1) for item in options.set)
    results: dict[str, Any] = {"latency": latency(changes), "samples": samples(), "noise": {}}
    for noise in NOISE_DBFS:
        results["noise"][str(noise)] = conversation(noise, changes)
    show(results["noise"])
    print(f"\nwritten to {keep('turns', results)}")


# The machine's own part of the gap


def latency(changes: dict[str, Any]) -> list[Line]:
    """Turn decided → first audio on the wire, beyond the engine's delays: with no delays, and with an early reply."""
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
    """A thousand pauses and resumes: samples lost or doubled at an ear 0 and 40 ms away."""
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
            (pause, half): paused_sentences(Path(folder), pause)[half::2] for pause in PAUSES_MS for half in (0, 1)
        }
        cases: list[tuple[str, str, Script]] = [
            ("pauses", str(pause), turns_script(found, noise)) for (pause, _), found in files.items()
        ]
        cases += [
            ("over", kind, over_script(sound, 1000 + 230 * number, noise))
            for kind, sounds in sounds_over(Path(folder)).items()
            for number, sound in enumerate(sounds)
        ]
        reports, tapes = calls([script for *_, script in cases], changes)
    result: Line = {"pauses": {}, "over": {}}
    for (part, name, _), report, tape in zip(cases, reports, tapes, strict=True):
        figures = _cut_offs(report, tape) if part == "pauses" else _over(report, tape)
        before = result[part].get(name)
        result[part][name] = {key: before[key] + figures[key] for key in figures} if before else figures
    result["unheard words"] = sum(_unheard_words(tape) for tape in tapes)
    return result


def _commands(tape: list[Line], kind: str) -> list[Line]:
    return [
        {"clock": line["clock"], "at": line["at"], **command}
        for line in tape
        for command in line.get("commands", [])
        if command["type"] == kind
    ]


def _cut_offs(report: CallReport, tape: list[Line]) -> Line:
    """Turns that were decided too soon; for the others, the time to the decision and to the voice."""
    decided = [line["at"] for line in _commands(tape, "TurnDecided") if line["cue"] == "answer"]
    early, waits, gaps = 0, [], []
    for turn in report.turns:
        early += any(turn.onset_ms < at < turn.speech_end_ms for at in decided)
        if turn.voice_to_voice_ms is not None and turn.voice_to_voice_ms > 0:
            gaps.append(turn.voice_to_voice_ms)
            waits += [at - turn.speech_end_ms for at in decided if at > turn.speech_end_ms][:1]
    return {"turns": len(report.turns), "cut off": early, "decided": waits, "gaps": gaps}


def _over(report: CallReport, tape: list[Line]) -> Line:
    """What happened at the sounds over the agent."""
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
    """Words of interrupted turns in the history that end after what the line had played by its `clear`, computed from
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
    """Run all scripts against one server: what the callers report, and their tapes."""
    with tempfile.TemporaryDirectory() as folder:
        usual = {"tape.mode": "full", "server.data": folder, "engine.embedded.recognizer": "pocketsphinx"}
        with ServerProcess({**usual, **settings}) as server:  # Moonshine does not hear espeak-ng's voices
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
            return await run_call(url, script)

    return await asyncio.gather(*map(one, scripts))


def show(results: dict[str, Line]) -> None:
    """Show the tables, a row for each kind and a column group for each level of noise."""
    levels = list(results)
    rows = []
    for pause in PAUSES_MS:
        found = [results[level]["pauses"].get(str(pause), {}) for level in levels]
        gaps = distribution(gap for item in found for gap in item.get("gaps", []))
        waits = distribution(wait for item in found for wait in item.get("decided", []))
        cuts = [f"{item.get('cut off')} of {item.get('turns')}" for item in found]
        rows.append([f"{pause} ms", *cuts, waits.p50, waits.p95, gaps.p50, gaps.p95])
    title = "Turns cut off at a pause inside them, by line noise in dBFS; end of speech → turn decided, → voice, ms"
    table(title, ["pause", *levels, "decided p50", "p95", "voice p50", "p95"], rows)
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
