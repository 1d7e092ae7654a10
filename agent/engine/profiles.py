"""Profiles: which backends hear, think and speak. Backends are imported only when their profile is chosen."""

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING

import msgspec

from agent.engine.base import Engine, Learner, Recognizer, Synthesizer
from agent.engine.languages import check_hearing, deaf_without_models, hears, without_models
from agent.engine.over_agent import judged_by_words, with_words_over_agent
from agent.exceptions import EngineError
from config.agent import AgentSettings
from config.engine import EngineSettings
from config.extras import install_command

if TYPE_CHECKING:
    from agent.engine.embedded.moonshine_recognizer import MoonshineRecognizer
    from agent.engine.embedded.recognizer import PocketsphinxRecognizer

Agents = dict[str, AgentSettings]
EXTRAS = {"openai": "embedded", "cascade": "gpu"}  # what a profile without an extra of its own may lack

logger = logging.getLogger("voxline.engine")


def build_engine(settings: EngineSettings, agents: Agents) -> Engine:
    """The engine of the chosen profile, not loaded yet; raises EngineError when its packages are missing, or when it
    would not understand the callers of an agent.

    The models of `gpu` and `cascade` run in a process of their own (`engine.process`), and callers of a profile that
    depends on models fall back on the embedded engine when those are lost.
    """
    check_hearing(settings, agents)
    try:
        match settings.profile:
            case "embedded":
                return _embedded(settings, agents, _moonshine(settings, agents, "callers are heard by pocketsphinx"))
            case "simulated":
                return _simulated(settings, agents)
            case "gpu" | "cascade" | "openai":
                return _with_fallback(settings, agents)
    except ImportError as error:
        raise missing_package(settings, error) from error


def missing_package(settings: EngineSettings, error: ImportError) -> EngineError:
    """What to install for a profile whose package cannot be imported."""
    extra = EXTRAS.get(settings.profile, settings.profile)
    return EngineError(
        f"the profile {settings.profile!r} needs a package that is not installed: {error.name}; "
        f"{install_command(extra)}"
    )


def build_models(settings: EngineSettings, agents: Agents) -> Engine:
    """The parts of a profile that depends on models, in this process and without a fallback. An embedded recognizer
    is none of them: the fallback has it already."""
    match settings.profile:
        case "gpu":
            return _gpu(settings, agents)
        case "cascade":
            return _cascade(settings, agents)
        case "openai":
            return _openai(settings, agents)
        case _:
            raise EngineError(f"the profile {settings.profile!r} has no models")


def _with_fallback(settings: EngineSettings, agents: Agents) -> Engine:
    from agent.engine.fallback import with_fallback  # noqa: PLC0415

    if settings.process and settings.profile != "openai":
        from agent.engine.process.remote import in_process  # noqa: PLC0415

        models = in_process(settings, agents)
    else:
        models = build_models(settings, agents)
    for agent in deaf_without_models(agents):
        logger.warning(
            "%s.yaml: language: %r is not understood without the models: when they are lost, callers are put through",
            *(agent.name, agent.language),
        )
    agents = without_models(agents)
    moonshine = _moonshine(settings, agents, "callers are heard by pocketsphinx")
    embedded = _embedded(settings, agents, moonshine)
    if settings.profile == "cascade" and settings.cascade.recognizer == "embedded":
        models = msgspec.structs.replace(models, recognizer=embedded.recognizer)
    engine = with_fallback(models, embedded, settings.fallback, agents)
    learners = (*models.learners, *map(TakenOver, engine.learners))
    engine = msgspec.structs.replace(engine, learners=learners)
    if moonshine and not _has_partial_transcripts(settings):
        english = Understood(agents)
        engine = with_learners(with_words_over_agent(engine, moonshine, english), english)
    return engine


def _has_partial_transcripts(settings: EngineSettings) -> bool:
    """Whether a profile's own recognizer has words before an utterance is over."""
    match settings.profile:
        case "gpu":
            return settings.voxtral.transcripts == "realtime"
        case "cascade":
            return settings.cascade.recognizer != "openai"
        case _:
            return False


class TakenOver:
    """What knows the agents as the embedded engine takes them over."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner

    async def learn(self, agents: Agents) -> None:
        """See Learner."""
        await self._learner.learn(without_models(agents))

    def forget(self, agents: Collection[str]) -> None:
        """See Learner."""
        self._learner.forget(agents)


class Understood(set[str]):
    """The agents whose language Moonshine hears."""

    def __init__(self, agents: Agents) -> None:
        super().__init__(name for name, agent in agents.items() if hears("embedded", agent))

    async def learn(self, agents: Agents) -> None:
        """See Learner."""
        self.update(Understood(agents))

    def forget(self, agents: Collection[str]) -> None:
        """See Learner."""
        self.difference_update(agents)


def with_learners(engine: Engine, *learners: Learner) -> Engine:
    """The engine with more that knows the agents."""
    return msgspec.structs.replace(engine, learners=(*engine.learners, *learners))


def _gpu(settings: EngineSettings, agents: Agents) -> Engine:
    from agent.engine.voxtral.model import VoxtralModel  # noqa: PLC0415

    model = VoxtralModel(settings.voxtral, agents)
    recognizer: Recognizer | None = None
    if settings.voxtral.transcripts == "voxtral":
        recognizer = model.transcriber
    elif settings.voxtral.transcripts == "realtime":
        from agent.engine.voxtral.streaming_mel import Overhearing  # noqa: PLC0415

        recognizer = Overhearing(_recognizer("realtime", settings), model.listening)
    synthesizer = _synthesizer("kokoro", settings)
    return Engine(model, synthesizer, recognizer, transcribes_in_background=True, learners=(model,))


def _cascade(settings: EngineSettings, agents: Agents) -> Engine:
    from agent.engine.openai.chat import ChatModel  # noqa: PLC0415

    cascade = settings.cascade
    model = ChatModel(settings.openai.model_copy(update={"audio": cascade.audio}), agents)
    return Engine(
        model,
        _synthesizer(cascade.synthesizer, settings),
        None if cascade.recognizer == "embedded" else _recognizer(cascade.recognizer, settings),
        transcribes_in_background=cascade.audio,
        learners=(model,),
    )


def _openai(settings: EngineSettings, agents: Agents) -> Engine:
    from agent.engine.openai.chat import ChatModel  # noqa: PLC0415

    model = ChatModel(settings.openai, agents)
    return Engine(
        model,
        _synthesizer("openai", settings),
        _recognizer("openai", settings),
        transcribes_in_background=settings.openai.audio,
        learners=(model,),
    )


def _recognizer(name: str, settings: EngineSettings) -> Recognizer:
    if name == "realtime":
        from agent.engine.realtime.recognizer import RealtimeRecognizer  # noqa: PLC0415

        return RealtimeRecognizer(settings.realtime)
    from agent.engine.openai.transcription import OpenAIRecognizer  # noqa: PLC0415

    return OpenAIRecognizer(settings.openai)


def _moonshine(settings: EngineSettings, agents: Agents, otherwise: str) -> "MoonshineRecognizer | None":
    """Moonshine's recognizer where it is chosen and works; else None, and the log says what that means and why."""
    if settings.embedded.recognizer == "pocketsphinx":
        return None
    from agent.engine.embedded.moonshine import Moonshine, model_folder  # noqa: PLC0415
    from agent.engine.embedded.moonshine_recognizer import MoonshineRecognizer  # noqa: PLC0415

    try:
        return MoonshineRecognizer(agents, Moonshine(model_folder()))
    except EngineError as error:
        if settings.embedded.recognizer == "moonshine":
            raise
        logger.warning("%s: %s", otherwise, error)
        return None


def _synthesizer(name: str, settings: EngineSettings) -> Synthesizer:
    if name == "kokoro":
        from agent.engine.kokoro.synthesizer import KokoroSynthesizer  # noqa: PLC0415

        return KokoroSynthesizer(settings.kokoro)
    if name == "openai":
        from agent.engine.openai.synthesizer import OpenAISynthesizer  # noqa: PLC0415

        return OpenAISynthesizer(settings.openai)
    from agent.engine.embedded.synthesizer import EspeakSynthesizer  # noqa: PLC0415

    return EspeakSynthesizer()


def _embedded(settings: EngineSettings, agents: Agents, moonshine: "MoonshineRecognizer | None") -> Engine:
    from agent.engine.embedded.dialogue import DialogueModel  # noqa: PLC0415
    from agent.engine.embedded.synthesizer import EspeakSynthesizer  # noqa: PLC0415

    model, recognizer = DialogueModel(agents), moonshine or _pocketsphinx(settings, agents)
    return Engine(model, EspeakSynthesizer(), recognizer, instructable=False, learners=(model, recognizer))


def _pocketsphinx(settings: EngineSettings, agents: Agents) -> "PocketsphinxRecognizer":
    from agent.engine.embedded.recognizer import PocketsphinxRecognizer  # noqa: PLC0415

    return PocketsphinxRecognizer(agents, decoders=settings.embedded.decoders)


def _simulated(settings: EngineSettings, agents: Agents) -> Engine:
    from agent.engine.simulated import SimulatedModel, SimulatedSynthesizer  # noqa: PLC0415

    model, synthesizer = SimulatedModel(settings.simulated), SimulatedSynthesizer(settings.simulated)
    engine = Engine(model, synthesizer, instructable=False)
    moonshine = _moonshine(settings, agents, "all speech over the agent ends its reply")
    if moonshine is None:
        return engine
    english = Understood(agents)
    return with_learners(judged_by_words(engine, moonshine, english), moonshine, english)
