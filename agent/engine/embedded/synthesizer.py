"""espeak-ng through ctypes: a whole chunk in a few milliseconds, with the time of every word.

espeak-ng keeps one voice and one text for the process, so everything goes through one lock and one thread. Its own
reference for the calls below: speak_lib.h of espeak-ng 1.52.
"""

import asyncio
import ctypes
import itertools
import re
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

from agent.engine.base import FloatArray, SpeakRequest, Speech, Word
from agent.engine.embedded.voices import Voices
from agent.engine.spoken_keys import spell_keys
from agent.exceptions import EngineError
from config.extras import install_command

WORDS_A_MINUTE = 165  # at speed 1.0: clear on a phone
PITCH = 45  # 0..100
PEAK = 0.7  # -3 dBFS: as loud as a telephone takes without clipping
LEADING_MS = 2  # silence kept before the first sound
TRAILING_MS = {".": 250, "?": 300, "!": 250, ",": 120, ";": 180, ":": 180}  # the pause after a chunk, by its last mark
OTHER_TRAILING_MS = 80
SILENT = 0.01  # of full scale; below it a sample is silence
MAX_CHARS = 4000

_SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: the call returns when all callbacks are done
_BUFFER_MS = 60
_CHARS_UTF8 = 1
_POSITION_CHARACTER = 1
_RATE, _PITCH = 1, 3  # espeak_PARAMETER
_EVENT_LIST_TERMINATED, _EVENT_WORD = 0, 1
_GO_ON, _ABORT = 0, 1


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """espeak_EVENT."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # characters from the start of the text, from 1
        ("length", ctypes.c_int),  # of the word, in characters
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Espeak:
    """The process's one espeak-ng. `speak` may be called from any thread."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, data, 0)
        if self.rate <= 0:
            raise EngineError(f"espeak-ng cannot start with the data in {data.decode()}")
        self._voices = Voices(self._library, Path(data.decode()))
        self._lock = threading.Lock()
        self._callback = _Callback(self._on_audio)  # kept: the library holds only its address
        self._library.espeak_SetSynthCallback(self._callback)
        self._pieces: list[FloatArray] = []
        self._starts: list[tuple[int, int]] = []
        self._aborted = threading.Event()

    def speak(
        self, text: str, voice: str, language: str, *, speed: float, pitch: int, aborted: threading.Event
    ) -> tuple[FloatArray, list[tuple[int, int]]]:
        """Audio and, for each word, (its character's index in the text, the ms of its start)."""
        with self._lock:
            self._voices.choose(voice, language)
            self._library.espeak_SetParameter(_RATE, round(WORDS_A_MINUTE * speed), 0)
            self._library.espeak_SetParameter(_PITCH, pitch, 0)
            self._pieces, self._starts, self._aborted = [], [], aborted
            data = text.encode() + b"\0"
            status = self._library.espeak_Synth(
                data, ctypes.c_size_t(len(data)), 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None
            )
            if status != 0:
                raise EngineError(f"espeak-ng failed with status {status}")
            return np.concatenate(self._pieces or [np.zeros(0, np.float32)]), self._starts

    def _on_audio(self, audio: "ctypes._Pointer[ctypes.c_short]", count: int, events: "ctypes._Pointer[_Event]") -> int:
        index = 0
        while events[index].type != _EVENT_LIST_TERMINATED:
            if events[index].type == _EVENT_WORD:
                self._starts.append((events[index].text_position - 1, events[index].audio_position))
            index += 1
        if count > 0 and audio:
            self._pieces.append(np.ctypeslib.as_array(audio, (count,)).astype(np.float32) / np.float32(32768))
        return _ABORT if self._aborted.is_set() else _GO_ON


_espeak: _Espeak | None = None
_espeak_lock = threading.Lock()


def _shared() -> _Espeak:
    global _espeak  # noqa: PLW0603 (the library itself is global)
    with _espeak_lock:
        if _espeak is None:
            _espeak = _Espeak()
        return _espeak


def say(
    text: str, voice: str = "", speed: float = 1.0, pitch: int = PITCH, *, language: str = "en-us"
) -> tuple[FloatArray, int]:
    """Speak a text: (mono float32 in -1..1, rate in Hz). For callers that are simulated; needs no engine."""
    espeak = _shared()
    audio, _ = espeak.speak(_plain(text), voice, language, speed=speed, pitch=pitch, aborted=threading.Event())
    return _level(audio), espeak.rate


class EspeakSynthesizer:
    """A Synthesizer. Chunks take a few milliseconds each, so one worker thread serves all calls."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="espeak")
        self._running: dict[str, threading.Event] = {}

    async def load(self) -> None:
        """See Synthesizer."""
        try:
            await asyncio.to_thread(say, "Ready.")
        except OSError as error:
            raise EngineError(f"espeak-ng cannot be loaded: {error}; {install_command('embedded')}") from error

    async def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        """See Synthesizer."""
        aborted = self._running[request.id] = threading.Event()
        try:
            loop = asyncio.get_running_loop()
            speech = await loop.run_in_executor(self._worker, _make, request, aborted)
        finally:
            aborted.set()  # when this generator is closed while the thread is at work
            del self._running[request.id]
        if speech is not None:
            yield speech

    def cancel(self, request: str) -> None:
        """See Synthesizer."""
        if aborted := self._running.get(request):
            aborted.set()

    async def close(self) -> None:
        """See Synthesizer."""
        for aborted in self._running.values():
            aborted.set()
        await asyncio.to_thread(self._worker.shutdown)


def _make(request: SpeakRequest, aborted: threading.Event) -> Speech | None:
    """One chunk, trimmed and levelled; None when it was aborted or has no sound."""
    if aborted.is_set():
        return None
    espeak = _shared()
    words = _plain(request.text).split()
    said = spell_keys(words, request.language)
    text = " ".join(said)
    audio, starts = espeak.speak(
        text, request.voice, request.language, speed=request.speed, pitch=PITCH, aborted=aborted
    )
    loud = np.flatnonzero(np.abs(audio) > SILENT)
    if aborted.is_set() or not loud.size:
        return None
    rate = espeak.rate
    first = max(0, int(loud[0]) - LEADING_MS * rate // 1000)
    last = int(loud[-1]) + 1
    pause = TRAILING_MS.get(text[-1], OTHER_TRAILING_MS) * rate // 1000
    trimmed = np.concatenate([audio[first:last], np.zeros(pause, np.float32)])
    sounds_ms = (loud - first) * (1000 / rate)
    begins = {position: max(0.0, ms - 1000 * first / rate) for position, ms in reversed(starts)}
    return Speech(_level(trimmed), rate, _words(words, said, begins, sounds_ms))


def _words(
    written: list[str], said: list[str], begins: dict[int, float], sounds_ms: NDArray[np.floating[Any]]
) -> tuple[Word, ...]:
    """The text's own words with their times; each ends with its last sound, before the pause that may follow.

    `said` is what is spoken for each, with a space between two. `begins` are espeak's words, by the index of their
    character: it may speak one of ours as several (10:30), or none (a dash), which then takes no time.
    """
    ends = list(itertools.accumulate(len(each) + 1 for each in said))
    spans = [(word, end - len(each) - 1, end - 1) for word, each, end in zip(written, said, ends, strict=True)]
    starts = [min((begins[at] for at in range(start, end) if at in begins), default=None) for _, start, end in spans]
    words: list[Word] = []
    for index, (word, *_) in enumerate(spans):
        before = words[-1].end_ms if words else 0.0
        start = starts[index]
        if start is None:
            words.append(Word(word, before, before))
            continue
        start = min(max(before, start), float(sounds_ms[-1]))
        following = next((begin for begin in starts[index + 1 :] if begin is not None), np.inf)
        last = int(np.searchsorted(sounds_ms, max(following, start), side="right")) - 1
        words.append(Word(word, start, max(start, float(sounds_ms[max(last, 0)]))))
    return tuple(words)


def _plain(text: str) -> str:
    """Text is data: one line, of bounded length, without espeak's own [[phoneme]] notation."""
    return re.sub(r"[\s\x00-\x1f]+", " ", text.replace("[[", "[ [").replace("]]", "] ]")).strip()[:MAX_CHARS]


def _level(audio: FloatArray) -> FloatArray:
    """Bring the peak to PEAK; espeak's own level depends on the voice."""
    peak = float(np.abs(audio).max(initial=0.0))
    return audio * np.float32(PEAK / peak) if peak > 0 else audio
