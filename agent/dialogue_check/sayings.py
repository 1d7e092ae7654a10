"""What callers may say to one agent, by examples, and what the dialogue makes of it."""

from collections.abc import Iterable, Iterator
from copy import copy

import msgspec

from agent.dialogue_check.automaton import Steps
from agent.engine.base import Cue, ReplyRequest
from agent.engine.embedded.dialogue_script import DialogueScript
from agent.engine.embedded.dialogue_state import DialogueState
from agent.engine.embedded.language_model import STRANGERS
from agent.engine.embedded.speaker import Speaker
from agent.engine.embedded.understanding import Understood
from config.dialogue import Dialogue
from config.phrase import Choice, parse_phrase

EXAMPLES = 40  # of one phrase, or of several taken together


class Sayings:
    """Draws examples, always the same, and asks the dialogue itself what they mean."""

    def __init__(self, dialogue: Dialogue, steps: Steps) -> None:
        self._script = DialogueScript(_confirming(dialogue))
        self._speaker = Speaker(dialogue, STRANGERS)
        self._steps = steps
        self.state = DialogueState()  # where the dialogue stands

    def at(self, *, task: str, question: str) -> "Sayings":
        """The same where a task is on and this was asked."""
        there = copy(self)
        there.state = DialogueState(task, question=question)
        return there

    def examples(self, phrases: Iterable[Choice]) -> Iterator[str]:
        """Different ways to say one of the phrases."""
        phrases, said = list(phrases), set[str]()
        say = self._speaker.one_of(phrases)
        for _ in range(EXAMPLES if phrases else 0):
            self._steps.take()
            words: list[str] = []
            say(words)
            if (example := " ".join(words)) not in said:
                said.add(example)
                yield example

    def spoken(self, words: list[str]) -> str:
        """These words, with examples in place of {slots}."""
        spoken: list[str] = []
        for word in words:
            if word.startswith("{"):
                self._speaker.one_of([parse_phrase(word)])(spoken)
            else:
                spoken.append(word)
        return " ".join(spoken)

    def meaning(self, words: str) -> Understood:
        """What the dialogue understands."""
        return self._script.understand(_turn(words, self.state), self.state)

    def filled(self, words: str) -> dict[str, str]:
        """The slots of the task that are known after these words; none if they lead away from it."""
        _, after = self._script.answer(_turn(words, self.state))
        return after.slots if after.task == self.state.task else {}


def _turn(words: str, state: DialogueState) -> ReplyRequest:
    return ReplyRequest("check", "check", "", Cue.ANSWER, transcript=words, state=msgspec.to_builtins(state))


def _confirming(dialogue: Dialogue) -> Dialogue:
    """The same dialogue, but that no task is over before what it knows was looked at."""
    intents = {
        name: intent.model_copy(update={"confirm": ("Is that right?",)}) if intent.ask else intent
        for name, intent in dialogue.intents.items()
    }
    return dialogue.model_copy(update={"intents": intents})
