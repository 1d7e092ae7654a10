"""The language model of an agent's dialogue: which words its callers say, and which follow which.

A JSGF grammar forces everything a caller says into one of its sentences. Measured over the phone line with thirty
sentences to the front desk, it found the meaning of 22 at a real-time factor of 0.28; trigrams over the same phrases
found 26 at 0.04, and the words of strangers' sentences come out as nonsense that `Understanding` can refuse.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator

from agent.engine.base import Expect
from agent.engine.embedded.understanding import DIGITS
from config.dialogue import AGREEING, LISTENING, PHRASES, Dialogue, slots_of
from config.phrase import Choice, Word, parse_phrase

ORDER = 3
SENTENCES = 20_000  # enough that every phrase occurs often
DISCOUNT = 0.5
BEFORE = {Expect.OPEN: 0.3, Expect.YES_NO: 0.05, Expect.DIGITS: 0.1, Expect.SPELLING: 0.1}  # how often something
AFTER = 0.2  # polite comes first, or last
CORRECTION = 0.3  # how often "no" goes on with what is right instead

# How often callers say what, by what they were asked: an intent, a slot on its own, yes or no, another built-in intent.
WEIGHTS = {
    Expect.OPEN: (0.45, 0.25, 0.10, 0.20),
    Expect.YES_NO: (0.05, 0.10, 0.75, 0.10),
    Expect.DIGITS: (0.15, 0.65, 0.05, 0.15),
    Expect.SPELLING: (0.15, 0.65, 0.05, 0.15),
}
# Over the agent's voice there are besides, weighed against their sum of one: signs of listening, a single short word,
# other stop words, and what has nothing to do with the call (a television, people in the room).
OVER = (0.35, 0.35, 0.2)
SHORT = ("yes", "no", "stop", "wait")
STRANGE = 0.3
STRANGE_WORDS = 6  # in a row, at most, of these: many different sounds, and none that is close to a short word above
STRANGERS = tuple(
    """
    about after all always another any around away back because been before better big both boy bring brother business
    buy came car city coffee cold could country day did different dinner door down each early end even ever every eyes
    face far father few first food found friend from game garden gave girl glass government great group hand hard he
    head heard her here his home house hundred if into job just keep kind late left life light like little live long
    look lovely lunch made man many mean money month more morning mother much music name news next night nothing old
    only other our out over own part people place play point question rain ready really red room round said school
    second seemed seen sell she show side since small something sometimes son still story street such suppose table take
    their there these they thing think this through too took train turn twice under until us used very voice walked was
    watch we week went were white wife will window with woman wonder word work world year young
    """.split()
)

DIGIT_WORDS = tuple(DIGITS)

Ngram = tuple[str, ...]


def sentences(dialogue: Dialogue, expect: Expect, count: int = SENTENCES, *, over: bool = False) -> Iterator[list[str]]:
    """What callers may say in reply to a question of this kind, drawn at random, always the same; `over`: while the
    agent is talking."""
    chance = random.Random(0)  # noqa: S311 (no secret)
    before, after = dialogue.around()
    intents, slots, yes_no, others = WEIGHTS[expect]
    no = dialogue.built_in("no")
    kinds: list[tuple[float, list[tuple[Choice, ...]]]] = [
        (intents, [intent.phrases for intent in dialogue.intents.values()]),
        (slots, [answers] if (answers := _answers(dialogue, expect)) else []),
        (yes_no, [dialogue.built_in("yes"), no]),
        (others, [dialogue.built_in(name) for name in ("repeat", "person", "never_mind", "goodbye")]),
    ]
    listening, short = backchannels(), tuple(map(parse_phrase, SHORT))
    if over:
        kinds += zip(OVER, ([listening], [short], [dialogue.built_in("stop")]), strict=True)
    kinds = [(weight, phrases) for weight, phrases in kinds if phrases]
    weights = [weight for weight, _ in kinds]
    strange = STRANGE / (STRANGE + sum(weights)) if over else 0.0
    say = _Speaker(dialogue, chance).say
    for _ in range(count):
        if over and chance.random() < strange:
            yield chance.choices(STRANGERS, k=chance.randint(1, STRANGE_WORDS))
            continue
        [(_, phrases)] = chance.choices(kinds, weights)
        phrase = chance.choice(phrases)
        sentence = say(chance.choice(phrase))
        if phrase is listening or phrase is short:
            yield sentence
            continue
        if phrase is no and expect is Expect.YES_NO and dialogue.answers and chance.random() < CORRECTION:
            sentence += say(chance.choice(dialogue.answers))
        if chance.random() < BEFORE[expect]:
            sentence = say(chance.choice(before)) + sentence
        if chance.random() < AFTER:
            sentence = sentence + say(chance.choice(after))
        yield sentence


def _answers(dialogue: Dialogue, expect: Expect) -> tuple[Choice, ...]:
    """Slots on their own; who is asked for digits gives those."""
    if expect is not Expect.DIGITS:
        return dialogue.answers
    digits = {name for name, slot in dialogue.slots.items() if slot.digits}
    return tuple(phrase for phrase in dialogue.answers if digits & slots_of(phrase)) or dialogue.answers


def backchannels() -> tuple[Choice, ...]:
    """What callers say to show that they listen."""
    return tuple(map(parse_phrase, (*AGREEING, *LISTENING)))


def vocabulary(dialogue: Dialogue) -> set[str]:
    """Every word a caller may say."""
    before, after = dialogue.around()
    phrases = [*before, *after, *dialogue.answers, *backchannels()]
    phrases += [phrase for intent in dialogue.intents.values() for phrase in intent.phrases]
    phrases += [phrase for name in PHRASES for phrase in dialogue.built_in(name)]
    phrases += [phrase for slot in dialogue.slots.values() for _, phrase in slot.phrases()]
    words = {part.text for phrase in phrases for part in phrase.parts() if isinstance(part, Word)} | set(STRANGERS)
    return words | (set(DIGITS) if any(slot.digits for slot in dialogue.slots.values()) else set())


def arpa(corpus: Iterator[list[str]]) -> str:
    """A trigram model of the sentences in ARPA format, with absolute discounting and back-off."""
    counts: list[defaultdict[Ngram, int]] = [defaultdict(int) for _ in range(ORDER)]
    for words, times in Counter(map(tuple, corpus)).items():  # many come again and again
        padded = ("<s>", *words, "</s>")
        for size, seen_times in enumerate(counts, 1):
            for start in range(len(padded) - size + 1):
                seen_times[padded[start : start + size]] += times
    counts[0][("<s>",)] = 0  # nothing leads to it
    total = sum(counts[0].values())
    levels: list[dict[Ngram, float]] = [{ngram: max(count, 1) / total for ngram, count in counts[0].items()}]
    back_off: dict[Ngram, float] = {}
    for higher in counts[1:]:
        followers: dict[Ngram, list[tuple[Ngram, int]]] = {}
        for ngram, count in higher.items():
            followers.setdefault(ngram[:-1], []).append((ngram, count))
        level: dict[Ngram, float] = {}
        for context, items in followers.items():
            seen = sum(count for _, count in items)
            level.update((ngram, (count - DISCOUNT) / seen) for ngram, count in items)
            left = 1 - sum(levels[-1][ngram[1:]] for ngram, _ in items)
            back_off[context] = DISCOUNT * len(items) / seen / max(left, 1e-6)
        levels.append(level)
    return _arpa_text(levels, back_off)


def _arpa_text(levels: list[dict[Ngram, float]], back_off: dict[Ngram, float]) -> str:
    lines = ["\\data\\", *(f"ngram {size}={len(level)}" for size, level in enumerate(levels, 1))]
    for size, level in enumerate(levels, 1):
        lines.append(f"\n\\{size}-grams:")
        for ngram, probability in sorted(level.items()):
            weight = f" {math.log10(back_off[ngram]):.4f}" if ngram in back_off else ""
            logarithm = -99.0 if ngram == ("<s>",) else math.log10(probability)
            lines.append(f"{logarithm:.4f} {' '.join(ngram)}{weight}")
    return "\n".join([*lines, "\n\\end\\", ""])


class _Speaker:
    """Says phrases in one of their ways, at random."""

    def __init__(self, dialogue: Dialogue, chance: random.Random) -> None:
        self._chance = chance
        self._values = {name: [phrase for _, phrase in slot.phrases()] for name, slot in dialogue.slots.items()}
        self._digits = {name: slot.digits for name, slot in dialogue.slots.items() if slot.digits}

    def say(self, choice: Choice) -> list[str]:
        """The words."""
        chance = self._chance
        if choice.optional and chance.random() < 0.5:
            return []
        words: list[str] = []
        for node in chance.choice(choice.options):
            if isinstance(node, Word):
                words.append(node.text)
            elif isinstance(node, Choice):
                words += self.say(node)
            elif node.name in self._digits:
                words += chance.choices(DIGIT_WORDS, k=self._digits[node.name])
            else:
                words += self.say(chance.choice(self._values[node.name]))
        return words
