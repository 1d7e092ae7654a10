"""What callers cannot get to: intents that their words do not lead to, slots that cannot be filled, corrections that
cannot be made. Found by trying examples on the dialogue itself."""

from collections.abc import Iterator

from agent.dialogue_check.finding import Finding
from agent.dialogue_check.sayings import Sayings
from agent.engine.embedded.dialogue_state import CONFIRM
from agent.engine.embedded.understanding import Understood
from config.dialogue import Dialogue, slots_of
from config.intent import Intent
from config.phrase import Choice

ASKED_ONLY = ("text", "yes_no")  # what is said in answer to their question is theirs, whatever it is


def check(dialogue: Dialogue, sayings: Sayings) -> Iterator[Finding]:
    """All that cannot be reached."""
    for name, intent in dialogue.intents.items():
        yield from _intent(sayings, name, intent)
        for slot in intent.ask:
            if dialogue.slots[slot].type not in ASKED_ONLY:
                yield from _slot(dialogue, sayings, name, slot)


def _intent(sayings: Sayings, name: str, intent: Intent) -> Iterator[Finding]:
    """Each phrase is to lead to its intent in at least one of its wordings."""
    for number, phrase in enumerate(intent.phrases):
        example, understood = "", Understood()
        for example in sayings.examples([phrase]):
            understood = sayings.meaning(example)
            if understood.intent == name:
                break
        else:
            text = f'cannot be reached by this phrase: "{example}" {_taken_for(understood)}'
            yield Finding("problem", f"dialogue.intents.{name}.phrases[{number}]", text, "leave it out, or reword it")


def _slot(dialogue: Dialogue, sayings: Sayings, task: str, slot: str) -> Iterator[Finding]:
    """It can be filled when it is asked for, and again when all has been read back."""
    intent, key = dialogue.intents[task], f"dialogue.intents.{task}"
    answers = [phrase for phrase in dialogue.slot_answers() if slot in slots_of(phrase)]
    advice = "reword the phrases that are in each other's way"
    if wrong := _refused(sayings.at(task=task, question=slot), answers, slot):
        yield Finding("problem", f"{key}.ask.{slot}", f"callers cannot answer: {wrong}", advice)
    elif intent.all_of("confirm") and (wrong := _refused(sayings.at(task=task, question=CONFIRM), answers, slot)):
        yield Finding("problem", f"{key}.confirm", f"callers cannot correct {{{slot}}}: {wrong}", advice)


def _refused(sayings: Sayings, answers: list[Choice], slot: str) -> str:
    """Why none of the answers fills the slot; empty if one does."""
    example = ""
    for example in sayings.examples(answers):
        if sayings.filled(example).get(slot):
            return ""
    return f'"{example}" {_taken_for(sayings.meaning(example))}'


def _taken_for(understood: Understood) -> str:
    slots = (f"{name} = {value}" for name, value in understood.slots.items())
    parts = ", ".join(filter(None, (understood.intent, understood.built_in, *slots)))
    return f"is understood as {parts}" if parts else "means nothing to the dialogue"
