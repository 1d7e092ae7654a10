"""`voxline check`: what is wrong with a dialogue, found before anybody calls. It looks at the agent's file, and at what
the dialogue itself makes of examples; nothing is heard or spoken."""

from collections.abc import Iterator
from importlib.util import find_spec

from agent.dialogue_check import pronouncing, reaching, sharing, wording
from agent.dialogue_check.automaton import Steps, TooLarge
from agent.dialogue_check.finding import Finding
from agent.dialogue_check.sayings import Sayings
from agent.engine.languages import hears
from config.agent import AgentSettings


def check(agent: AgentSettings, *, pronounce: bool = True, steps: Steps | None = None) -> Iterator[Finding]:
    """All findings about the agent's dialogue, if it has one. Whether its language is heard and spoken depends on the
    engine, and is not looked at here; `pronounce` says whether the engine's recognizer needs pronunciations. What is
    too large to be looked at as a whole is looked at in part."""
    dialogue, steps = agent.dialogue, steps or Steps()
    if dialogue is None:
        return
    yield from wording.check(agent, dialogue)
    if pronounce and hears("embedded", agent) and find_spec("pocketsphinx"):
        yield from pronouncing.check(dialogue)
    sayings = Sayings(dialogue, steps)
    try:
        yield from reaching.check(dialogue, sayings)
        yield from sharing.check(dialogue, sayings, steps)
    except TooLarge:
        text = "too large to be compared as a whole: intents may share words that were not found"
        yield Finding("warning", "dialogue", text, "make long phrases shorter, or try it with voxline try-dialogue")
