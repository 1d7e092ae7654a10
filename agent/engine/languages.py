"""Checks before the first call that an engine can hear and speak the languages and voices of its agents."""

from collections.abc import Iterable

from agent.engine.base import SpeakRequest, Synthesizer
from agent.engine.fallback.synthesizer import FallbackSynthesizer
from agent.exceptions import EngineError
from config.agent import AgentSettings
from config.engine import EngineSettings

# Languages by the backend that hears them. OpenAI's API leads to models that are not known here.
HEARS = {
    "embedded": ("the embedded recognizer", "en".split()),
    "voxtral": ("Voxtral", "de en es fr hi it nl pt".split()),
    "realtime": ("Voxtral Realtime", "ar de en es fr hi it ja ko nl pt ru zh".split()),
}
WORD = "One."  # spoken as a self-check: a numeral that every language has


def listener(settings: EngineSettings) -> str:
    """What turns callers' speech into words: one of HEARS, "openai", or "" where nothing does."""
    match settings.profile:
        case "gpu":
            return "voxtral"
        case "cascade":
            return "openai" if settings.cascade.audio else settings.cascade.recognizer
        case "simulated":
            return ""
        case profile:
            return profile


def check_hearing(settings: EngineSettings, agents: dict[str, AgentSettings]) -> None:
    """Raises EngineError for an agent whose callers would not be understood."""
    who = listener(settings)
    for agent in agents.values():
        if not hears(who, agent):
            name, languages = HEARS[who]
            raise EngineError(
                f"{agent.name}.yaml: language: {agent.language!r}: {name}, which hears the callers in the profile "
                f"{settings.profile!r}, knows only {', '.join(languages)}; choose another engine.profile"
            )


def hears(who: str, agent: AgentSettings) -> bool:
    """Whether a backend of HEARS understands the callers of an agent; others are assumed to."""
    return who not in HEARS or agent.language.partition("-")[0].lower() in HEARS[who][1]


def deaf_without_models(agents: dict[str, AgentSettings]) -> list[AgentSettings]:
    """Agents whose dialogue cannot go on when models are lost, since the embedded engine would not understand their
    callers."""
    return [agent for agent in agents.values() if agent.dialogue and not hears("embedded", agent)]


def without_models(agents: dict[str, AgentSettings]) -> dict[str, AgentSettings]:
    """The agents as the embedded engine takes them over: those go without their dialogue, so that callers are put
    through to a person."""
    return agents | {agent.name: agent.model_copy(update={"dialogue": None}) for agent in deaf_without_models(agents)}


async def check_voices(synthesizer: Synthesizer, agents: Iterable[AgentSettings]) -> None:
    """Let a loaded synthesizer, and what it falls back on, say a word with every agent's voice in its language.
    Raises EngineError for one that cannot be spoken."""
    if isinstance(synthesizer, FallbackSynthesizer):
        await _say_a_word(synthesizer.synthesizer, agents)
        await _say_a_word(synthesizer.embedded, [agent.model_copy(update={"voice": ""}) for agent in agents])
    else:
        await _say_a_word(synthesizer, agents)


async def _say_a_word(synthesizer: Synthesizer, agents: Iterable[AgentSettings]) -> None:
    for agent in agents:
        request = SpeakRequest(f"trial/{agent.name}", WORD, agent.voice, agent.speed, agent.language)
        try:
            async for _ in synthesizer.speak(request):
                pass
        except EngineError as error:
            what = f"voice: {agent.voice!r}, language" if agent.voice else "language"
            raise EngineError(f"{agent.name}.yaml: {what}: {agent.language!r}: {error}") from error
