"""From words to chunks: where a reply that is still being written may be split for speaking. Sans-I/O.

The first chunk is short, so that speech begins early; the longer the audio that was already made, the longer the next
may be, which sounds better. A cut is made only where the text goes on after white space, or after a mark of a script
that writes without it, so it never falls into 2.30, an address or a word that is still being written.
"""

import re

from config.settings import ReplySettings

GROWN = 12  # words; a clause of so many is always long enough for a chunk
LATE, LATEST = 20, 40  # words after which a chunk ends at the last clause, however short, and after any word

_SENTENCE = ".?!…।॥。．！？؟۔"
_CLAUSE = ",;:，、；：،؛"
_CLOSING = "\"')]}»”’」』）】"
_OPENING = "\"'([{«“‘「『（【"
_WITHOUT_SPACE = "।॥。．！？，、；："  # marks that are not followed by white space in their script
_AFTER = re.escape(_WITHOUT_SPACE + _CLOSING)
# The last character before white space; or such a mark, once it is clear what follows it.
_PLACE = re.compile(rf"\S(?=\s)|[{_WITHOUT_SPACE}][{_AFTER}]*(?=[^\s\d{_AFTER}])")
_WIDE = r"\u3040-\u30ff\u3400-\u9fff"  # each character of Chinese and Japanese counts as a word
_WORD = re.compile(rf"[{_WIDE}]|[^\W_{_WIDE}][^\s{_WIDE}]*")
# Tokens whose full stop ends no sentence: initials, abbreviations, ordinals and numbers of a list.
_ABBREVIATION = re.compile(
    r"(?:[^\W\d_]\.)+|\d{1,2}\.|(?:Dr|Mr|Mrs|Ms|Messrs|St|Prof|Rev|Hon|Gen|Sen|Capt|Sgt|Lt|Jr|Sr|Ph\.D|No|Nos|vs|etc|"
    r"approx|ext|tel|incl|Inc|Ltd|Co|Corp|Ave|Blvd|Rd|Mt|Ft|Dept|Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec|डॉ)\."
)
_UNIT_FOLLOWS = "$€£¥₹#&+-–—/@=~("  # a token that ends so belongs to the next one


class Chunker:
    """Collects the text of one reply and gives it back in chunks."""

    def __init__(self, settings: ReplySettings) -> None:
        self._settings = settings
        self._room = settings.max_chars
        self._text = ""
        self._given = 0  # words in the chunks so far
        self._hurried = False
        self._start_over()

    @property
    def first(self) -> bool:
        """Whether no chunk was given yet."""
        return not self._given

    def add(self, text: str) -> list[str]:
        """Take more text and give the chunks that are complete. Beyond `max_chars` in all, text is dropped."""
        self._text += text[: self._room]
        self._room -= min(len(text), self._room)
        chunks = []
        while end := self._end():
            chunks.append(self._cut(end))
        return chunks

    def hurry(self) -> list[str]:
        """It has taken too long: the first chunk ends after the last whole word, as soon as there are enough of them;
        a later one after the last clause."""
        self._hurried = True
        end = self._word if self.first else self._clause
        return [self._cut(end), *self.add("")] if end else []

    def rest(self) -> str:
        """What remains when the reply is complete; may be empty."""
        text, self._text = self._text.strip(), ""
        self._start_over()
        return text

    def _start_over(self) -> None:
        """The next chunk begins with what is left of the text."""
        self._seen = 0  # characters in which no end was found
        self._clause = 0  # where a clause or sentence ends that is too short
        self._word = 0  # where the first chunk may end in a hurry

    def _cut(self, end: int) -> str:
        chunk, self._text = self._text[:end].strip(), self._text[end:]
        self._given += _count(chunk)
        self._start_over()
        return chunk

    def _end(self) -> int:
        """Where the next chunk ends; 0: nowhere yet. What follows there changes nothing, so it does not matter in
        which pieces the text comes."""
        for match in _PLACE.finditer(self._text, self._seen):
            self._seen = end = match.end()
            chunk = self._text[:end].strip()
            words = _count(chunk)
            if _ends_clause(chunk) and words:
                if self._is_enough(chunk, words):
                    return end
                self._clause = end
            if words >= self._settings.words_trigger_threshold and self.first and _ends_word(chunk):
                if self._hurried:
                    return end
                self._word = end
            if words >= LATE and len(self._text[: self._clause].strip()) >= self._settings.min_sentence_chars:
                return self._clause
            if words >= LATEST and _ends_word(chunk):
                return end
        return 0

    def _is_enough(self, chunk: str, words: int) -> bool:
        """Whether a chunk that ends in a mark is long enough to be spoken on its own."""
        if self.first:
            return words >= self._settings.words_trigger_threshold
        wanted = 0 if _ends_sentence(chunk) else min(2 * self._given, GROWN)
        return words >= wanted and len(chunk) >= self._settings.min_sentence_chars


def intoned(chunk: str) -> str:
    """A chunk of a reply that goes on, as the synthesizer is to read it: with a comma where it ends without a mark."""
    return chunk if chunk.rstrip(_CLOSING).endswith(tuple(_SENTENCE + _CLAUSE)) else chunk + ","


def _count(text: str) -> int:
    """Words of a text; marks alone are none."""
    return len(_WORD.findall(text))


def _ends_sentence(text: str) -> bool:
    text = text.rstrip(_CLOSING)
    return text.endswith(tuple(_SENTENCE)) and not _is_abbreviation(text)


def _ends_clause(text: str) -> bool:
    """Whether a clause or a sentence ends here."""
    return text.rstrip(_CLOSING).endswith(tuple(_CLAUSE)) or _ends_sentence(text)


def _ends_word(text: str) -> bool:
    """Whether a word ends here that needs not the next one: a number may be followed by its unit, or "p.m."."""
    text = text.rstrip(_CLOSING)
    return bool(text) and not (text[-1].isdigit() or text[-1] in _UNIT_FOLLOWS or _is_abbreviation(text))


def _is_abbreviation(text: str) -> bool:
    return bool(_ABBREVIATION.fullmatch(text.rsplit(None, 1)[-1].lstrip(_OPENING)))
