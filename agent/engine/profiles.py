"""Profiles: which backends hear, think and speak. Backends are imported only when their profile is chosen."""

from agent.engine.base import Engine
from agent.exceptions import EngineError
from config.agent import AgentSettings
from config.settings import EngineSettings


def build_engine(settings: EngineSettings, agents: dict[str, AgentSettings]) -> Engine:
    """The engine of the chosen profile, not loaded yet; raises EngineError when its packages are missing."""
    try:
        match settings.profile:
            case "embedded":
                return _embedded(settings, agents)
            case "simulated":
                return _simulated(settings)
    except ImportError as error:
        raise EngineError(
            f"the profile {settings.profile!r} needs a package that is not installed: {error.name}; "
            f"pip install 'voxline[{settings.profile}]'"
        ) from error


def _embedded(settings: EngineSettings, agents: dict[str, AgentSettings]) -> Engine:
    from agent.engine.embedded.dialogue import DialogueModel  # noqa: PLC0415
    from agent.engine.embedded.recognizer import PocketsphinxRecognizer  # noqa: PLC0415
    from agent.engine.embedded.synthesizer import EspeakSynthesizer  # noqa: PLC0415

    return Engine(
        DialogueModel(agents),
        EspeakSynthesizer(),
        PocketsphinxRecognizer(agents, decoders=settings.embedded.decoders),
    )


def _simulated(settings: EngineSettings) -> Engine:
    from agent.engine.simulated import SimulatedModel, SimulatedSynthesizer  # noqa: PLC0415

    return Engine(SimulatedModel(settings.simulated), SimulatedSynthesizer(settings.simulated))
