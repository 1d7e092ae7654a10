"""Text to Kokoro's phonemes, with the position of every word in them.

Nothing is downloaded: English is read by misaki's lexicon (`english`), every other language by espeak-ng (`espeak`).
"""

import warnings
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from agent.exceptions import EngineError

MAX_CHARS = 4000  # of one chunk; a longer one is not spoken
MAX_PHONEMES = 510  # that Kokoro takes in one run
KEPT = 256  # texts whose phonemes are cached: greetings and questions come back in every call
SENTENCE_MARKS = ".!?…"
CLAUSE_MARKS = ",;:—"
SILENT = frozenset(f'{SENTENCE_MARKS}{CLAUSE_MARKS} "“”()')  # phonemes without a sound
LANGUAGES = {"en-us", "en-gb", "es", "fr-fr", "hi", "it", "pt-br"}  # agent.language


class Place(msgspec.Struct, frozen=True):
    """A written word and its phonemes' span, from `start` to before `end`; empty when it has no sound."""

    word: str
    start: int
    end: int


class Phonemes(msgspec.Struct, frozen=True):
    """What is spoken in one run: at most MAX_PHONEMES characters of Kokoro's vocabulary."""

    text: str
    places: tuple[Place, ...]  # of all its words, in order


class Reader(Protocol):
    """Reads one language. Called from one thread at a time."""

    def read(self, words: list[str]) -> tuple[str, list[tuple[int, int]]]:
        """The phonemes of the words, and each word's span, including the marks around it."""


class Phonemizer:
    """All languages, each loaded when it is first asked for. Not thread-safe: espeak-ng keeps state."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        self._vocabulary = frozenset(vocabulary)
        self._readers: dict[str, Reader] = {}
        self._known: OrderedDict[tuple[str, str], list[Phonemes]] = OrderedDict()

    def load(self, language: str) -> Reader:
        """The reader of a language; raises EngineError for one that Kokoro does not speak here."""
        if language not in self._readers:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # torch about spaCy's plug-ins
                self._readers[language] = _reader(language)
        return self._readers[language]

    def read(self, text: str, language: str) -> list[Phonemes]:
        """A text in pieces of at most MAX_PHONEMES; empty when nothing in it can be spoken. Raises EngineError."""
        key = (language, text)
        if key not in self._known:
            self._known[key] = self._read(text, language)
        self._known.move_to_end(key)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return self._known[key]

    def _read(self, text: str, language: str) -> list[Phonemes]:
        words = text[:MAX_CHARS].split()
        reader = self.load(language)
        try:
            phonemes, spans = reader.read(words)
        except Exception as error:  # misaki and num2words may raise anything for odd numbers
            raise EngineError(f"this text cannot be read out in {language}: {error}") from error
        whole = self._known_only(phonemes, words, spans)
        if not whole.text:
            return []
        if whole.text[-1] not in SENTENCE_MARKS + CLAUSE_MARKS:
            whole = Phonemes(whole.text + _last_mark(text), whole.places)
        return [piece for piece in split(whole) if any(place.end > place.start for place in piece.places)]

    def _known_only(self, phonemes: str, words: list[str], spans: Sequence[tuple[int, int]]) -> Phonemes:
        """Without characters that Kokoro does not know, and the words' spans without the marks around them."""
        kept = [character in self._vocabulary for character in phonemes]
        moved = [0]
        for keep in kept:
            moved.append(moved[-1] + keep)
        text = "".join(character for character, keep in zip(phonemes, kept, strict=True) if keep).rstrip()
        places = []
        for word, (start, end) in zip(words, spans, strict=True):
            first, last = (min(moved[at], len(text)) for at in (start, end))
            while first < last and text[first] in SILENT:
                first += 1
            while first < last and text[last - 1] in SILENT:
                last -= 1
            places.append(Place(word, first, last))
        return _behind(Phonemes(text, tuple(places)), len(text) - len(text.lstrip()))


def _reader(language: str) -> Reader:
    if language in ("en-us", "en-gb"):
        from agent.engine.kokoro.english import EnglishReader  # noqa: PLC0415 (its lexicon takes a second to load)

        return EnglishReader(british=language == "en-gb")
    if language in LANGUAGES:
        from agent.engine.kokoro.espeak import EspeakReader  # noqa: PLC0415

        return EspeakReader(language)
    raise EngineError(f"Kokoro cannot speak {language!r} here; agent.language may be {', '.join(sorted(LANGUAGES))}")


def split(phonemes: Phonemes, limit: int = MAX_PHONEMES) -> list[Phonemes]:
    """Pieces of at most `limit`, cut after a sentence, else after a clause, else between words, else anywhere."""
    pieces = []
    rest = phonemes
    while len(rest.text) > limit:
        cut = _cut(rest.text[:limit])
        inside = [place for place in rest.places if place.end <= cut]
        pieces.append(Phonemes(rest.text[:cut].rstrip(), tuple(inside)))
        after = cut + len(rest.text[cut:]) - len(rest.text[cut:].lstrip())
        rest = _behind(Phonemes(rest.text, rest.places[len(inside) :]), after)
    return [*pieces, rest]


def _last_mark(text: str) -> str:
    """The mark a text ends with, which may be lost with an abbreviation ("p.m."). Without any, a chunk sounds broken
    off: then a comma."""
    mark = text.rstrip(" \"'“”‘’()")[-1:]
    return mark if mark and mark in SENTENCE_MARKS + CLAUSE_MARKS else ","


def _behind(phonemes: Phonemes, cut: int) -> Phonemes:
    """What remains after the first `cut` characters, some of which may belong to the first word."""
    places = (Place(place.word, max(0, place.start - cut), max(0, place.end - cut)) for place in phonemes.places)
    return Phonemes(phonemes.text[cut:], tuple(places))


def _cut(text: str) -> int:
    """Where to cut a text that is too long; not in its first third, since short pieces sound odd."""
    for marks in (SENTENCE_MARKS, CLAUSE_MARKS, " "):
        cut = max(text.rfind(mark) for mark in marks) + 1
        if cut > len(text) // 3:
            return cut
    return len(text)
