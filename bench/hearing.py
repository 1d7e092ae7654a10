"""The recognizers of a machine without a GPU, side by side: python -m bench.hearing.

People's recordings over the phone, quiet and in line noise: words heard wrongly, CPU time, and how late a clock of
10 ms is beside a recognizer that is never idle. Writes bench/results/hearing-DATE.json.
"""

import asyncio
import re
import time
from pathlib import Path

import numpy as np
import soxr

import config
from agent.engine.base import FloatArray, Recognizer, SpeechBlock
from agent.engine.embedded.moonshine import Moonshine, model_folder
from agent.engine.embedded.moonshine_recognizer import MoonshineRecognizer
from agent.engine.embedded.numerals import words_of
from agent.engine.embedded.recognizer import PocketsphinxRecognizer
from audio import g711, wav
from audio.rate import RATE
from bench.machine import keep, table
from bench.sounds import SPEECH
from config.agent import load_agents

LEVEL_DBFS = -20.0
SNR_DB = {"quiet": 60.0, "20 dB": 20.0}
BLOCK = 2 * RATE // 5  # bytes of 200 ms
ROUNDS = 3
TICK_S = 0.01
BEFORE_S, AFTER_S = 0.32, 0.16  # of the line beside the speech: turn.preroll_ms and turn.eager_ms


def main() -> None:
    """Print the table and keep it."""
    agents = load_agents(Path(config.__file__).parent / "agents")
    recognizers: dict[str, Recognizer] = {
        "pocketsphinx": PocketsphinxRecognizer(agents),
        "moonshine": MoonshineRecognizer(agents, Moonshine(model_folder())),
    }
    results = {name: asyncio.run(_measure(recognizer)) for name, recognizer in recognizers.items()}
    columns = list(results["moonshine"])
    rows = [[name, *(result[column] for column in columns)] for name, result in results.items()]
    table("People over the phone", ["recognizer", *columns], rows)
    print(f"\nwritten to {keep('hearing', results)}")


def recordings() -> dict[str, tuple[FloatArray, list[str]]]:
    """By file: audio at 8 kHz and the words in it, as README.md beside the recordings has them."""
    lines = re.findall(r"^\| (\S+\.wav) \| ([a-z ]+)", (SPEECH / "README.md").read_text(), re.MULTILINE)
    return {name: (np.asarray(soxr.resample(*_read(name), RATE), np.float32), words.split()) for name, words in lines}


def _read(name: str) -> tuple[FloatArray, int]:
    return wav.read(SPEECH / name)


async def _measure(recognizer: Recognizer) -> dict[str, float]:
    await recognizer.load()
    found: dict[str, float] = {}
    begun, seconds = time.process_time(), 0.0
    ticking = asyncio.create_task(_ticks())
    for noise, snr_db in SNR_DB.items():
        errors = total = 0
        for number in range(ROUNDS):
            for name, (audio, words) in recordings().items():
                pcm = telephone(audio, snr_db, number)
                errors += word_errors(words, words_of(await _hear(recognizer, f"{name} {noise} {number}", pcm)))
                total += len(words)
                seconds += len(pcm) / (2 * RATE)
        found[f"words wrong {noise} %"] = 100 * errors / total
    found["CPU ms/s of audio"] = 1000 * (time.process_time() - begun) / seconds
    ticking.cancel()
    late = sorted(await ticking)
    found |= {"tick late p99 ms": late[int(0.99 * len(late))], "max ms": late[-1]}
    await recognizer.close()
    return found


async def _ticks() -> list[float]:
    """How late each tick was, in ms, until cancelled."""
    late: list[float] = []
    try:
        while True:
            due = time.monotonic() + TICK_S
            await asyncio.sleep(TICK_S)
            late.append(1000 * (time.monotonic() - due))
    except asyncio.CancelledError:
        return late


async def _hear(recognizer: Recognizer, name: str, pcm: bytes) -> str:
    """As a call does: in blocks, the final at the end."""
    for at in range(0, len(pcm), BLOCK):
        await recognizer.hear(SpeechBlock(name, "CA1", "front_desk", pcm[at : at + BLOCK]))
    return (await recognizer.finish(name)).text


def telephone(audio: FloatArray, snr_db: float, seed: int) -> bytes:
    """Brought to its level, with white noise so far below the speech, through mu-law."""
    speech = audio[np.abs(audio) > 0.01]
    audio = audio * 10 ** (LEVEL_DBFS / 20) / float(np.sqrt(np.mean(speech**2)))
    audio = np.pad(audio, (int(BEFORE_S * RATE), int(AFTER_S * RATE)))
    noise = np.random.default_rng(seed).standard_normal(len(audio)) * 10 ** ((LEVEL_DBFS - snr_db) / 20)
    pcm = (np.clip(audio + noise, -1, 1) * 32767).astype("<i2").tobytes()
    return g711.decode(g711.encode(pcm))


def word_errors(said: list[str], heard: list[str]) -> int:
    """Insertions, deletions and substitutions."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        previous, row = row, [number]
        for at, other in enumerate(heard, 1):
            row.append(min(previous[at] + 1, row[-1] + 1, previous[at - 1] + (word != other)))
    return row[-1]


if __name__ == "__main__":
    main()
