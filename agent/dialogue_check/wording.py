"""What the agent says: texts that it never comes to, and signs that no voice has a sound for."""

import unicodedata
from collections.abc import Iterator

from agent.dialogue_check.finding import Finding
from config.agent import AgentSettings
from config.dialogue import Dialogue
from config.intent import FIELD, Intent
from config.parties import FIELDS

# Their voices read Latin letters; those of other languages read more.
LATIN = frozenset("cs da de en es fi fr hr hu it nl no pl pt ro sv tr".split())
OWN_FIELDS = {"part": ("heard",), "did_you_mean": ("this",), "which": ("this", "that")}


def check(agent: AgentSettings, dialogue: Dialogue) -> Iterator[Finding]:
    """All that is wrong with the texts."""
    yield from _never_said(dialogue)
    for key, text in _texts(dialogue):
        yield from _signs(key, text, agent.language)
        if key.startswith("dialogue.texts"):
            yield from _fields(key.partition("[")[0], text, tuple(agent.variables))


def _never_said(dialogue: Dialogue) -> Iterator[Finding]:
    asked = {slot for intent in dialogue.intents.values() for slot in intent.ask}
    for slot in sorted(dialogue.slots.keys() - asked):
        text, advice = "no intent asks for this slot", "ask for it in an intent, or leave it out"
        yield Finding("warning", f"dialogue.slots.{slot}", text, advice)
    about = sum(bool(intent.about) for intent in dialogue.intents.values())
    transfers = dialogue.person or any(intent.all_of("transfer") for intent in dialogue.intents.values())
    for name, said, why, advice in (
        ("person", dialogue.person, "there is no dialogue.person", "name a transfer there"),
        ("way_out", dialogue.person, "there is no dialogue.person", "name a transfer there"),
        ("unreached", transfers, "nobody is put through", "name a transfer in dialogue.person or in an intent"),
        ("did_you_mean", about > 0, "no intent has `about`", "say what intents are about"),
        ("which", about > 1, "there are no two intents with `about`", "say what intents are about"),
    ):
        if not said and name in dialogue.texts.model_fields_set:
            yield Finding("warning", f"dialogue.texts.{name}", f"never said: {why}", f"{advice}, or leave it out")
    for name, intent in dialogue.intents.items():
        if "failed" in intent.model_fields_set and not intent.tool:
            text, advice = "never said: there is no tool that could fail", "name one in `tool`, or leave it out"
            yield Finding("warning", f"dialogue.intents.{name}.failed", text, advice)
        if intent.correct and not intent.all_of("confirm"):
            text, advice = "never said: nothing is read back", "add `confirm`, or leave it out"
            yield Finding("warning", f"dialogue.intents.{name}.correct", text, advice)


def _texts(dialogue: Dialogue) -> Iterator[tuple[str, str]]:
    """Every text that the file has, and its key."""
    for name in sorted(dialogue.texts.model_fields_set):
        yield from _wordings(f"dialogue.texts.{name}", getattr(dialogue.texts, name))
    for name, intent in dialogue.intents.items():
        yield from _of_intent(f"dialogue.intents.{name}", intent)


def _of_intent(key: str, intent: Intent) -> Iterator[tuple[str, str]]:
    for name in ("confirm", "correct", "answer", "failed"):
        yield from _wordings(f"{key}.{name}", getattr(intent, name))
    for number, case in enumerate(intent.cases):
        yield from _wordings(f"{key}.cases[{number}].confirm", case.confirm)
        yield from _wordings(f"{key}.cases[{number}].answer", case.answer)
    for slot, question in intent.ask.items():
        yield from _wordings(f"{key}.ask.{slot}", question.say)


def _wordings(key: str, text: str | tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(text, str):
        yield key, text
    else:
        yield from ((f"{key}[{number}]" if len(text) > 1 else key, each) for number, each in enumerate(text))


def _fields(key: str, text: str, variables: tuple[str, ...]) -> Iterator[Finding]:
    for name in FIELD.findall(text):
        if name not in (*FIELDS, *variables, *OWN_FIELDS.get(key.rpartition(".")[2], ())):
            there = ", ".join(f"{{{field}}}" for field in (*FIELDS, *variables))
            yield Finding("problem", key, f"{{{name}}} is never filled in here", f"only {there} are known in all texts")


def _signs(key: str, text: str, language: str) -> Iterator[Finding]:
    """Signs that voices skip, or read by names that no caller expects, such as "grinning face"."""
    strange = [sign for sign in dict.fromkeys(text) if not _is_spoken(sign, language)]
    if strange:
        names = ", ".join(f"{sign!r} ({unicodedata.name(sign, 'a control character')})" for sign in strange[:3])
        yield Finding("warning", key, f"voices for {language} cannot say {names}", "write it as words")


def _is_spoken(sign: str, language: str) -> bool:
    category = unicodedata.category(sign)
    if category.startswith("L") and language.partition("-")[0].lower() in LATIN:
        return "LATIN" in unicodedata.name(sign, "") or category == "Lm" or sign in "ªºµ"
    return sign in "\n\t°©®™" or category not in ("So", "Sk", "Co", "Cn", "Cs", "Cc", "Cf")
