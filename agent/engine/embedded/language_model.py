"""The language model of an agent's dialogue: which words its callers say, and in what order.

A JSGF grammar forces everything a caller says into one of its sentences. Measured over the phone line with thirty
sentences to the front desk, it found the meaning of 22 at a real-time factor of 0.28; trigrams over the same phrases
found 26 at 0.04, and the words of strangers' sentences come out as nonsense that `Understanding` can refuse.
"""

from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate

from agent.engine.base import Expect
from agent.engine.embedded.matching import DIGITS, phrases_of
from agent.engine.embedded.speaker import Speaker
from agent.engine.embedded.spelling import ALPHABET
from config.dialogue import AGREEING, LISTENING, PHRASES, Dialogue, slots_of
from config.phrase import Choice, Word, parse_phrase

SENTENCES = 20_000  # enough that every phrase occurs often
# How often something polite comes first, or last.
BEFORE = {Expect.OPEN: 0.3, Expect.YES_NO: 0.05, Expect.DIGITS: 0.1, Expect.SPELLING: 0.1}
AFTER = 0.2
CORRECTION = 0.3  # how often "no" goes on with what is right instead

# How often callers say what, by what they were asked: an intent, a slot on its own, yes or no, another built-in intent.
WEIGHTS = {
    Expect.OPEN: (0.45, 0.25, 0.10, 0.20),
    Expect.YES_NO: (0.05, 0.10, 0.75, 0.10),
    Expect.DIGITS: (0.15, 0.65, 0.05, 0.15),
    Expect.SPELLING: (0.15, 0.65, 0.05, 0.15),
}
KINDS = {Expect.DIGITS: "number", Expect.SPELLING: "spell"}
# Over the agent's voice there are besides, weighed against their sum of one: signs of listening, a single short word,
# other stop words, and what has nothing to do with the call (a television, people in the room).
OVER = (0.35, 0.35, 0.2)
SHORT = ("yes", "no", "stop", "wait")
STRANGE = 0.3
STRANGE_WORDS = 6  # in a row, at most, of these: many different sounds, none of them close to a short word above
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


def questions(dialogue: Dialogue) -> list[Expect]:
    """The kinds of questions that a dialogue can ask and that have a model of their own. For others it is OPEN's: every
    model takes a server a second to start."""
    kinds = {slot.type for slot in dialogue.slots.values()}
    return [Expect.OPEN, Expect.YES_NO, *(expect for expect, kind in KINDS.items() if kind in kinds)]


def sentences(dialogue: Dialogue, expect: Expect, count: int = SENTENCES, *, over: bool = False) -> Iterator[list[str]]:
    """What callers may say in reply to a question of this kind, drawn at random, always the same; `over`: while the
    agent is talking."""
    speaker = Speaker(dialogue, STRANGERS)
    chance, one_of = speaker.random, speaker.one_of
    before, after = map(one_of, dialogue.around())
    no, listening, short = one_of(dialogue.built_in("no")), one_of(backchannels()), one_of(map(parse_phrase, SHORT))
    intents, slots, yes_no, others = WEIGHTS[expect]
    kinds = [
        (intents, [one_of(intent.typical()) for intent in dialogue.intents.values()]),
        (slots, [one_of(asked)] if (asked := _answers(dialogue, expect)) else []),
        (yes_no, [one_of(dialogue.built_in("yes")), no]),
        (others, [one_of(dialogue.built_in(name)) for name in ("repeat", "person", "never_mind", "goodbye")]),
    ]
    if over:
        kinds += zip(OVER, ([listening], [short], [one_of(dialogue.built_in("stop"))]), strict=True)
    kinds = [(weight, says) for weight, says in kinds if says]
    *borders, total = accumulate(weight for weight, _ in kinds)
    strange = STRANGE / (STRANGE + total) if over else 0.0
    answers = dialogue.slot_answers()
    correct = one_of(answers) if answers and expect is Expect.YES_NO else None
    for _ in range(count):
        if over and chance() < strange:
            yield speaker.draw_words(STRANGERS, speaker.draw(range(STRANGE_WORDS)) + 1)
            continue
        _, says = kinds[bisect(borders, chance() * total)]
        say = speaker.draw(says)
        sentence: list[str] = []
        say(sentence)
        if say is listening or say is short:
            yield sentence
            continue
        if say is no and correct and chance() < CORRECTION:
            correct(sentence)
        if chance() < BEFORE[expect]:
            polite: list[str] = []
            before(polite)
            sentence = polite + sentence
        if chance() < AFTER:
            after(sentence)
        yield sentence


def _answers(dialogue: Dialogue, expect: Expect) -> tuple[Choice, ...]:
    """Slots on their own; callers asked for digits give digits."""
    answers = dialogue.slot_answers()
    asked = {name for name, slot in dialogue.slots.items() if slot.type == KINDS.get(expect)}
    return tuple(phrase for phrase in answers if asked & slots_of(phrase)) or answers


def backchannels() -> tuple[Choice, ...]:
    """What callers say to show that they are listening."""
    return tuple(map(parse_phrase, (*AGREEING, *LISTENING)))


def vocabulary(dialogue: Dialogue) -> set[str]:
    """Every word a caller may say."""
    before, after = dialogue.around()
    phrases = [*before, *after, *dialogue.slot_answers(), *backchannels()]
    phrases += [phrase for intent in dialogue.intents.values() for phrase in intent.typical()]
    phrases += [phrase for name in PHRASES for phrase in dialogue.built_in(name)]
    phrases += [phrase for slot in dialogue.slots.values() for _, phrase in phrases_of(slot)]
    words = {part.text for phrase in phrases for part in phrase.parts() if isinstance(part, Word)} | set(STRANGERS)
    kinds = {slot.type for slot in dialogue.slots.values()}
    words |= set(DIGITS) if "number" in kinds else set()
    return words | set(ALPHABET) if "spell" in kinds else words
