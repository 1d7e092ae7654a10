"""Words that the recognizer cannot pronounce, and so cannot hear."""

from collections.abc import Iterable, Iterator

from agent.dialogue_check.finding import Finding
from agent.engine.embedded.language_model import vocabulary
from config.dialogue import Dialogue
from config.phrase import Choice, Word

EXAMPLE = "add it to dialogue.pronunciations in ARPAbet, such as {voxline: V AA K S L AY N}, or take another word"


def check(dialogue: Dialogue) -> Iterator[Finding]:
    """Every word without a pronunciation, where it stands first, and what is wrong with the file's own."""
    from agent.engine.embedded.phrase_decoder import PHONES, shipped_pronunciations  # noqa: PLC0415 (an extra)

    words = vocabulary(dialogue)
    missing = words - shipped_pronunciations(words).keys() - dialogue.pronunciations.keys()
    for word in sorted(missing):
        yield Finding("problem", _place(dialogue, word), f"the recognizer cannot pronounce {word!r}", EXAMPLE)
    for word, sounds in dialogue.pronunciations.items():
        key = f"dialogue.pronunciations.{word}"
        if wrong := [sound for sound in sounds.split() if sound not in PHONES]:
            advice = f"ARPAbet without stress has {' '.join(sorted(PHONES))}"
            yield Finding("problem", key, f"{wrong[0]!r} is no sound", advice)
        elif not sounds.split():
            yield Finding("problem", key, "has no sounds", "write it in ARPAbet, such as {voxline: V AA K S L AY N}")
        elif word not in words:
            yield Finding("warning", key, "no phrase has this word", "look for a difference in spelling")


def _place(dialogue: Dialogue, word: str) -> str:
    places = (key for key, phrases in _phrases(dialogue) for phrase in phrases if Word(word) in phrase.parts())
    return next(places, "dialogue")


def _phrases(dialogue: Dialogue) -> Iterator[tuple[str, Iterable[Choice]]]:
    for name, intent in dialogue.intents.items():
        yield f"dialogue.intents.{name}.phrases", intent.phrases
    for name, slot in dialogue.slots.items():
        yield from ((f"dialogue.slots.{name}.values.{value}", [phrase]) for value, phrase in slot.phrases())
    yield "dialogue.answers", dialogue.answers
    for name, phrases in dialogue.phrases.items():
        yield f"dialogue.phrases.{name}", phrases
    yield "dialogue.before", dialogue.before
    yield "dialogue.after", dialogue.after
