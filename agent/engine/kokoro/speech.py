"""Kokoro's audio for a chunk, made ready for the line: trimmed, levelled, faded, with the time of every word."""

import numpy as np

from agent.engine.base import FloatArray, Speech, Word
from agent.engine.kokoro.forward import FRAME, RATE, SynthesisOutput
from agent.engine.kokoro.phonemes import CLAUSE_MARKS, SENTENCE_MARKS, Phonemes

EARLY = 3  # frames by which Kokoro's sound runs ahead of its durations, as its own `join_timestamps` has it
LEADING_MS = 20  # kept before the first sound, which may be soft
TRAILING_MS = 30  # kept after the last sound
SENTENCE_PAUSE_MS, CLAUSE_PAUSE_MS = 120, 80  # from the last sound to the end of the piece, by its last mark
FADE_MS = 5  # at both edges, so that pieces join without a click
SILENT = 0.01  # of the peak; samples below it count as silence
SPEECH_DBFS = -20.0  # RMS of the speech of a piece, pauses aside: all pieces of a call are equally loud
MAX_GAIN = 4.0  # either way (12 dB): a whispered or damaged piece is not blown up
PEAK = 0.9  # of full scale; anything louder gets less gain
_WINDOW = RATE // 50  # 20 ms, over which levels are measured
_PAUSE_DB = 25.0  # windows this far below the loudest one are pauses


def finish(spoken: SynthesisOutput, phonemes: Phonemes) -> Speech:
    """A piece ready to be played, at 24 kHz; its words are those of the text, in order, each within the audio."""
    begins = np.concatenate([[0], np.cumsum(spoken.durations)])[1:] * FRAME  # of each phoneme, in samples
    early = min(EARLY, int(spoken.durations[0])) * FRAME
    sounding = [place for place in phonemes.places if place.end > place.start]
    start, end = _trim(spoken.audio, int(begins[sounding[0].start]) - early, int(begins[sounding[-1].end]))
    sound = _fade(_level(spoken.audio[start:end]))
    pause = np.zeros(max(0, _pause_ms(phonemes.text) - TRAILING_MS) * RATE // 1000, np.float32)
    words: list[Word] = []
    for place in phonemes.places:
        before = words[-1].end_ms if words else 0.0
        if place.end == place.start:
            words.append(Word(place.word, before, before))
            continue
        first, last = (
            float(np.clip(int(begins[at]) - early - start, 0, len(sound))) * 1000 / RATE
            for at in (place.start, place.end)
        )
        words.append(Word(place.word, max(first, before), max(last, before)))
    return Speech(np.concatenate([sound, pause]), RATE, tuple(words))


def _pause_ms(text: str) -> int:
    mark = text.rstrip(' "“”()')[-1:]
    if mark and mark in SENTENCE_MARKS:
        return SENTENCE_PAUSE_MS
    return CLAUSE_PAUSE_MS if mark and mark in CLAUSE_MARKS else TRAILING_MS


def _trim(audio: FloatArray, start: int, end: int) -> tuple[int, int]:
    """Where the sound begins and ends, with a little around it. The durations say where it must lie, for what is
    outside is breath and clicks; within, the level says how much of it is silence."""
    leading, trailing = LEADING_MS * RATE // 1000, TRAILING_MS * RATE // 1000
    start, end = max(0, start - leading), min(len(audio), end + trailing)
    level = np.abs(audio[start:end])
    loud = np.flatnonzero(level > SILENT * level.max(initial=0.0))
    if not loud.size:
        return start, end
    return start + max(0, int(loud[0]) - leading), min(end, start + int(loud[-1]) + 1 + trailing)


def _level(audio: FloatArray) -> FloatArray:
    """Bring the speech to SPEECH_DBFS."""
    peak = float(np.abs(audio).max(initial=0.0))
    if peak == 0.0:
        return audio
    windows = np.pad(audio, (0, -len(audio) % _WINDOW)).reshape(-1, _WINDOW)
    power = np.square(windows).mean(axis=1)
    speech = power[power >= power.max() * 10 ** (-_PAUSE_DB / 10)]
    wanted = 10 ** (SPEECH_DBFS / 20) / float(np.sqrt(speech.mean()))
    return audio * np.float32(min(max(wanted, 1 / MAX_GAIN), MAX_GAIN, PEAK / peak))


def _fade(audio: FloatArray) -> FloatArray:
    edge = min(FADE_MS * RATE // 1000, len(audio) // 2)
    ramp = np.linspace(0, 1, edge, endpoint=False, dtype=np.float32)
    faded = audio.copy()
    faded[:edge] *= ramp
    faded[len(faded) - edge :] *= ramp[::-1]
    return faded
