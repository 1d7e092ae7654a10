"""The same words for two things: for two intents, or for two values of a slot."""

from collections.abc import Iterator
from itertools import combinations
from typing import get_args

from agent.dialogue_check.automaton import Automaton, Steps, common
from agent.dialogue_check.finding import Finding, Level
from agent.dialogue_check.sayings import Sayings
from config.dialogue import BuiltIn, Dialogue
from config.phrase import Choice

TELL_APART = "take them out of one of the two, or add a word that tells them apart"


def check(dialogue: Dialogue, sayings: Sayings, steps: Steps) -> Iterator[Finding]:
    """Words that two intents share, or two values of a slot."""
    yield from _intents(dialogue, sayings, steps)
    yield from _values(dialogue, steps)


def _intents(dialogue: Dialogue, sayings: Sayings, steps: Steps) -> Iterator[Finding]:
    """Fillers around it do not make other words of it: "please book a table" may be a phrase, or politeness and one."""
    phrases: dict[str, tuple[Choice, ...]] = {name: intent.spoken() for name, intent in dialogue.intents.items()}
    own = list(phrases)
    # Those that are built in may mean two things by themselves.
    phrases |= {name: dialogue.built_in(name) for name in get_args(BuiltIn)}
    fillers = [filler for some in dialogue.around() for filler in some]
    plain, polite = {}, {}
    for name, some in phrases.items():
        plain[name], polite[name] = Automaton(dialogue.slots, steps), Automaton(dialogue.slots, steps)
        plain[name].add(some)
        polite[name].add(some)
        polite[name].allow_around(fillers)
    for at, one in enumerate(own):
        for other in [*own[at + 1 :], *get_args(BuiltIn)]:
            words = common(plain[one], polite[other], steps) or common(polite[one], plain[other], steps)
            if words:
                yield _shared(dialogue, sayings, one, other, words)


def _shared(dialogue: Dialogue, sayings: Sayings, one: str, other: str, words: list[str]) -> Finding:
    understood = sayings.meaning(sayings.spoken(words))
    meant = understood.intent or understood.built_in or "neither"
    text = f'"{" ".join(words)}" is a phrase of {other!r} too, and is understood as {meant!r}'
    level: Level = "problem" if other in dialogue.intents else "warning"
    return Finding(level, f"dialogue.intents.{one}.phrases", text, TELL_APART)


def _values(dialogue: Dialogue, steps: Steps) -> Iterator[Finding]:
    for name, slot in dialogue.slots.items():
        ways = {value: Automaton(dialogue.slots, steps) for value in slot.values}
        for value, phrase in slot.phrases():
            ways[value].add([phrase])
        for one, other in combinations(ways, 2):
            if words := common(ways[one], ways[other], steps):
                text = f'"{" ".join(words)}" is said for {one!r} and for {other!r}'
                yield Finding("problem", f"dialogue.slots.{name}.values", text, TELL_APART)
