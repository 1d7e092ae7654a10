"""English by misaki's lexicon, without the tagger that misaki would download.

misaki asks spaCy's `en_core_web_sm` for parts of speech. Where that is not installed, the few that its lexicon depends
on are guessed from the words around (`_tag`). Words that the lexicon lacks are left to espeak-ng.
"""

import logging
import re
from typing import Any

import spacy
from misaki import en, espeak  # type: ignore[import-untyped]
from phonemizer.backend import EspeakBackend  # type: ignore[import-untyped]

from agent.engine.kokoro.normalization import read_out
from agent.engine.spoken_keys import spell_keys

TAGGER = "en_core_web_sm"
_MARKS = {",": ",", ".": ".", "!": ".", "?": ".", "$": "$", "£": "$", "€": "$", "#": "#", "(": "-LRB-", ")": "-RRB-"}
_MARKS |= dict.fromkeys([":", ";", "-", "–", "—", "…"], ":") | {'"': "''", "“": "``", "”": "''", "'": "''"}
_WORDS = {
    "to": "TO",
    "the": "DT",
    "an": "DT",
    "and": "CC",
    "or": "CC",
    "in": "IN",
    "by": "IN",
    "used": "VBD",
    "i": "PRP",
}
_SYMBOLS = frozenset("%&+@")  # that misaki reads as words
_BEFORE_VERBS = frozenset(
    "to can could will would shall should may might must do does did don't not n't never please let 'll ’ll 'd ’d "
    "i you we they who".split()
)
_BEFORE_PARTICIPLES = frozenset("have has had 've ’ve 's was were be been is are".split())
_BEFORE_NOUNS = frozenset(
    "a an the my your his her its our their this that these those no any some each every of for in on at with".split()
)
_AFTER_THAT = frozenset("'s ’s 's 'll ’ll is was will would sounds works means . , ! ?".split())


class EnglishReader:
    """American or British English. See Reader."""

    def __init__(self, *, british: bool) -> None:
        self._british = british
        fallback = _Fallback(british)
        if spacy.util.is_package(TAGGER):
            self._g2p = en.G2P(british=british, fallback=fallback, unk="")
        else:
            self._g2p = _G2P(british, fallback)

    def read(self, words: list[str]) -> tuple[str, list[tuple[int, int]]]:
        """See Reader."""
        spoken = read_out(spell_keys(words, "en-gb" if self._british else "en-us"))
        # Text is data: misaki's own pronunciation markup is not interpreted.
        _, tokens = self._g2p(" ".join(spoken), preprocess=False)
        return _join(tokens, spoken)


def _join(tokens: list[Any], spoken: list[str]) -> tuple[str, list[tuple[int, int]]]:
    """misaki's tokens in one string; each word's span is found by counting its characters, spaces aside."""
    phonemes = ""
    begins: list[int] = []  # for each character, where its phonemes begin
    ends: list[int] = []
    for token in tokens:
        sound = token.phonemes or ""
        size = len(token.text.replace(" ", ""))
        # A token of several characters is one sound: it is divided only where a word ends within it.
        begins += [len(phonemes) + len(sound) * index // size for index in range(size)]
        ends += [len(phonemes) + len(sound) * (index + 1) // size for index in range(size)]
        phonemes += sound + (" " if token.whitespace else "")
    spans, at = [], 0
    for word in spoken:
        size = len(re.sub(r"\s", "", word))
        last = min(at + size, len(ends))
        spans.append((begins[at], ends[last - 1]) if at < last else (len(phonemes), len(phonemes)))
        at += size
    return phonemes, spans


class _Fallback(espeak.EspeakFallback):  # type: ignore[misc]
    """misaki's, without speaking the language names that espeak-ng puts around foreign words."""

    def __init__(self, british: bool) -> None:
        self.british, self.version = british, None
        self.backend = EspeakBackend(
            "en-gb" if british else "en-us",
            preserve_punctuation=True,
            with_stress=True,
            tie="^",
            language_switch="remove-flags",
            logger=logging.Logger("phonemizer", logging.ERROR),  # it warns of every foreign word
        )


class _G2P(en.G2P):  # type: ignore[misc]
    """misaki's, with guesses in place of a tagger."""

    def __init__(self, british: bool, fallback: _Fallback) -> None:
        self.version, self.british, self.fallback, self.unk = None, british, fallback, ""
        self.nlp = spacy.blank("en")
        self.lexicon = en.Lexicon(british)

    def tokenize(self, text: str, tokens: list[str], features: dict[int, Any]) -> list[Any]:  # noqa: ARG002
        """misaki's tokens, tagged."""
        document = list(self.nlp(text))
        around = [None, *document, None]
        return [
            en.MToken(
                text=token.text,
                tag=_tag(token, before, after),
                whitespace=token.whitespace_,
                _=en.MToken.Underscore(is_head=True, num_flags="", prespace=False),
            )
            for before, token, after in zip(around, document, around[2:], strict=False)
        ]


def _tag(token: Any, before: Any, after: Any) -> str:
    """A Penn tag where misaki's lexicon depends on it; XX where unknown."""
    text = token.text
    if not text[0].isalnum():
        return _MARKS.get(text) or _symbol(text)
    if text[0].isdigit():
        return "CD"
    match token.lower_:
        case "a":
            article = text == "a" or not before or before.is_punct
            return "DT" if article else "NN"  # "A." within a sentence is a letter
        case "am":
            return "NN" if before and before.text[0].isdigit() else "VBP"
        case "that":
            return "DT" if not after or after.lower_ in _AFTER_THAT else "IN"
        case lower:
            return _WORDS.get(lower) or _by_context(before.lower_ if before else "")


def _by_context(previous: str) -> str:
    """Verb, participle or noun, by the word before."""
    if previous in _BEFORE_VERBS:
        return "VB"
    if previous in _BEFORE_PARTICIPLES:
        return "VBN"
    return "NN" if previous in _BEFORE_NOUNS else "XX"


def _symbol(text: str) -> str:
    """The tag of a token that begins with neither a letter nor a digit."""
    if text[0] in "'’" and text[1:2].isalpha():
        return "POS"
    return "NN" if text in _SYMBOLS else "CD" if text[1:2].isdigit() else ":"
