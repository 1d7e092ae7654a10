"""The phrases of one agent's dialogue, and where they stand in a turn. Pure functions."""

from collections.abc import Sequence
from functools import lru_cache
from typing import get_args

from agent.engine.base import Expect
from agent.engine.embedded import corrections, dates, times, wordings
from agent.engine.embedded.contractions import written_out
from agent.engine.embedded.matching import MAX_REMEMBERED, Matcher
from agent.engine.embedded.phrase_run import (
    ANSWER,
    AROUND,
    BUILT_IN,
    CORRECTION,
    COURTESY,
    FILLER,
    INTENT,
    NEGATION,
    Found,
    Span,
)
from agent.engine.embedded.spoken_turn import SpokenTurn, spoken_turn
from config.dialogue import BuiltIn, Dialogue
from config.phrase import Choice, parse_phrase

BARE_WORDS = 3  # behind a text: "12 Hill Road, number 3" is all of it an address
CORRECTING = (CORRECTION, NEGATION)
REPAIRED = {Expect.DATE: dates.as_dates, Expect.TIME: times.as_times}  # where this is expected
FILLERS = (*wordings.HELLO, *wordings.LEADING_UP, *wordings.BEHIND)
Named = tuple[str, str, Choice]  # a kind, the intent's name and a phrase of it


class PhraseBook:
    """Everything that callers may say to one agent: its intents, the built-in ones, slots, corrections, fillers."""

    def __init__(self, dialogue: Dialogue) -> None:
        before, after = dialogue.around()
        intents = dialogue.intents.items()
        self._slots = dialogue.slots
        self._matcher = Matcher(dialogue.slots)
        phrases: list[Named] = [
            *(
                (COURTESY if item.courtesy else INTENT, name, phrase)
                for name, item in intents
                for phrase in item.spoken()
            ),
            *((BUILT_IN, name, phrase) for name in get_args(BuiltIn) for phrase in dialogue.built_in(name)),
            *(
                (BUILT_IN, name, phrase)
                for name, more in wordings.BUILT_IN.items()
                for phrase in map(parse_phrase, more)
            ),
            *((ANSWER, "", phrase) for phrase in dialogue.slot_answers()),
            *((CORRECTION, name, phrase) for name, phrase in corrections.phrases(dialogue)),
            *((NEGATION, "", phrase) for phrase in map(parse_phrase, corrections.NEGATIONS)),
            *((FILLER, "", phrase) for phrase in (*before, *after, *map(parse_phrase, corrections.REPAIRS))),
            *((FILLER, AROUND, phrase) for phrase in map(parse_phrase, FILLERS)),
        ]
        # The meaning of a turn, whether it is complete and whether it may go on are asked one after another.
        self._spans_at = lru_cache(MAX_REMEMBERED)(self._find_spans)
        self._by_first_word: dict[str, list[Named]] = {}
        for kind, name, phrase in phrases:
            matched = written_out(phrase)
            for word in self._matcher.first_words(matched):
                self._by_first_word.setdefault(word, []).append((kind, name, matched))

    def turn(self, transcript: str, expect: Expect = Expect.OPEN, *, hesitant: bool = True) -> SpokenTurn:
        """The words of a transcript, with or without those that show hesitation. Where digits are expected, "twelve
        thirty four" is one two three four, if a number of the dialogue has four."""
        repaired = REPAIRED[expect](transcript) if expect in REPAIRED else transcript
        turn = spoken_turn(repaired, hesitant=hesitant)
        if expect is Expect.DIGITS:
            spelled = turn.digit_by_digit()
            found = (slot for spans in self.find(spelled.words) for span in spans for slot in span.slots)
            if any(self._slots[name].type == "number" for name, _ in found):
                return spelled
        return turn

    def find(
        self, words: tuple[str, ...], wanted: Sequence[str] = (), *, corrects: bool = True, around: bool = True
    ) -> Found:
        """Every phrase that begins at each word, those with wanted slots first; with corrections or without, and with
        what stands `around` a wish or without."""
        found = [list(self._spans_at(words, start)) for start in range(len(words))]
        if not around:
            found = [[span for span in spans if span.name != AROUND] for spans in found]
        if not corrects:
            found = [[span for span in spans if span.kind not in CORRECTING] for spans in found]
        if wanted:
            place = {name: at for at, name in enumerate(wanted)}
            for spans in found:
                spans.sort(key=lambda span: min((place.get(name, 99) for name, _ in span.slots), default=99))
        return found

    def _find_spans(self, words: tuple[str, ...], start: int) -> tuple[Span, ...]:
        return tuple(
            Span(kind, name, start, end, slots, self._free(slots), self._is_bare(words, start, end, slots))
            for kind, name, phrase in self._by_first_word.get(words[start], ())
            for end, slots in sorted(self._matcher.match(phrase, words, start))
            if end > start
        )

    def _is_bare(self, words: tuple[str, ...], start: int, end: int, slots: tuple[tuple[str, str], ...]) -> bool:
        """Whether it is short and begins with its slot, as "three" does and "at three" does not, or has none."""
        return not slots or (
            end - start <= BARE_WORDS and any(self._matcher.can_begin(name, words[start]) for name, _ in slots)
        )

    def _free(self, slots: tuple[tuple[str, str], ...]) -> int:
        texts = [value.split(":") for name, value in slots if self._slots[name].type == "text"]
        return sum(int(end) - int(start) for start, end in texts)

    def reached(self, phrases: Sequence[Choice], words: tuple[str, ...], start: int, *, once: bool = False) -> set[int]:
        """Where some of these phrases, one after another, may end; with `once` a single one."""
        reached = {start}
        for place in range(start, start + 1 if once else len(words)):
            if place in reached:
                reached |= {end for phrase in phrases for end, _ in self._matcher.match(phrase, words, place)}
        return reached

    def begins_phrase(self, words: tuple[str, ...], start: int, *, corrects: bool) -> bool:
        """Whether the words from `start` on are the beginning of a phrase, which cannot end with them."""
        phrases = self._by_first_word.get(words[start], ()) if start < len(words) else ()
        return any(
            self._matcher.begins(phrase, words, start)
            for kind, name, phrase in phrases
            if name != AROUND and (corrects or kind not in CORRECTING)
        )

    def begun(self, words: tuple[str, ...], found: Found, *, corrects: bool) -> int:
        """How many of the words are phrases from the first one on, of which the last may be only begun; 0 if not all
        are. A single word that begins a phrase does not count."""
        reached, most = {0}, 0
        for start in range(len(words)):
            if start in reached:
                if self.begins_phrase(words, start, corrects=corrects):
                    most = max(most, len(words) if start < len(words) - 1 else start)
                reached |= {span.end for span in found[start]}
        return len(words) if len(words) in reached else most

    def holds_part(self, words: tuple[str, ...]) -> bool:
        """Whether they hold so much of a phrase that it is hardly by chance: a value of two words, or three that begin
        a phrase."""
        begins = (words[at : at + 3] for at in range(len(words) - 2))
        spans = (span for spans in self.find(words) for span in spans)
        long = any(span.kind != FILLER and span.end > span.start + 1 for span in spans)
        return long or any(self.begins_phrase(some, 0, corrects=False) for some in begins)

    def consists_of(self, phrases: list[Choice], words: tuple[str, ...]) -> bool:
        """Whether the words are some of these phrases, one after another, and nothing else."""
        return bool(words) and len(words) in self.reached(phrases, words, 0)


def plain(phrases: Sequence[str]) -> list[Choice]:
    """Phrases as they are matched: contractions written out."""
    return [written_out(parse_phrase(phrase)) for phrase in phrases]
