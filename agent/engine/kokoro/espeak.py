"""Kokoro's languages other than English, by espeak-ng.

misaki's own way is phonemizer, which takes "1.234,50" and "3:30" apart at their marks before espeak-ng sees them. Here
a mark counts only at the edge of a word. phonemizer loads a copy of the library for each language, so the voice of one,
and the embedded synthesizer's, are safe from the others.
"""

import itertools
import re

from misaki.espeak import EspeakG2P  # type: ignore[import-untyped]
from phonemizer.backend.espeak.wrapper import EspeakWrapper  # type: ignore[import-untyped]

from agent.engine.spoken_keys import spell_keys

_MARKS = re.escape(';:,.!?…—"“”()[]{}¿¡')
_OPENING = "“([{¿¡"
_PICTURES = re.compile("[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff]")  # espeak-ng would read out the name of every emoji
_EDGES = re.compile(rf"([{_MARKS}]*)(.*?)([{_MARKS}]*)", re.DOTALL)
_SAME_MARKS = str.maketrans({"।": ".", "॥": ".", "«": "“", "»": "”", "–": "—"})
_LANGUAGE = re.compile(r"\([^)]*\)")  # espeak-ng's note that a word belongs to another language: (en)
_TIE = "͡"


class EspeakReader:
    """One language of espeak-ng. See Reader."""

    def __init__(self, language: str) -> None:
        self._letters: list[tuple[str, str]] = EspeakG2P(language=language).e2m
        self._espeak = EspeakWrapper()
        self._espeak.set_voice(language)
        self._language = language

    def read(self, words: list[str]) -> tuple[str, list[tuple[int, int]]]:
        """See Reader."""
        phonemes = ""
        spans: list[tuple[int, int]] = []
        clause: list[str] = []
        for word in spell_keys(words, self._language):
            before, core, after = _edges(word)
            if before and clause:
                phonemes = self._add(phonemes, clause, spans) + " "
                clause = []
            phonemes += before
            clause.append(core)
            if after:
                phonemes = self._add(phonemes, clause, spans) + after + " "
                clause = []
        return self._add(phonemes, clause, spans), spans

    def _add(self, phonemes: str, clause: list[str], spans: list[tuple[int, int]]) -> str:
        """Speak words together, since one may change the next; append their spans."""
        sound = self._sound(" ".join(clause))
        spans += [(len(phonemes) + start, len(phonemes) + end) for start, end in self._places(clause, sound)]
        return phonemes + sound

    def _sound(self, text: str) -> str:
        if not text.strip():
            return ""
        sound = _LANGUAGE.sub("", self._espeak.text_to_phonemes(text, tie=True)).replace(_TIE, "^").replace("-", "")
        for written, kokoro in self._letters:
            sound = sound.replace(written, kokoro)
        return " ".join(sound.replace("^", "").split())

    def _places(self, words: list[str], sound: str) -> list[tuple[int, int]]:
        """The span of each word. A number is spoken as several, and some words are drawn together: where the counts
        differ, each word gets as much as it takes alone, up to the nearest gap."""
        gaps = [0, *(match.end() for match in re.finditer(" ", sound)), len(sound)]
        if len(gaps) - 1 == len(words):
            bounds = gaps
        else:
            sizes = [len(self._sound(word)) for word in words]
            total = sum(sizes) or 1
            exact = [len(sound) * sum(sizes[:count]) / total for count in range(len(words) + 1)]
            bounds = [min(gaps, key=lambda gap: abs(gap - at)) for at in exact]
        return list(itertools.pairwise(bounds))


def _edges(word: str) -> tuple[str, str, str]:
    """The marks before a word, the word, and the marks after it."""
    match = _EDGES.fullmatch(_PICTURES.sub("", word.translate(_SAME_MARKS)))
    assert match is not None  # it matches anything
    before, core, after = match.groups()
    return (before, core, after) if core or before[:1] in _OPENING else ("", "", before)
