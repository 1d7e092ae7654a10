"""An engine that goes on when its models fail: the embedded engine takes over what they cannot do."""

from agent.engine.base import Engine, Learner
from agent.engine.fallback.circuit_breaker import CircuitBreaker
from agent.engine.fallback.model import FallbackModel
from agent.engine.fallback.recognizer import FallbackRecognizer
from agent.engine.fallback.synthesizer import FallbackSynthesizer
from config.agent import AgentSettings
from config.engine import FallbackSettings


def with_fallback(
    models: Engine, embedded: Engine, settings: FallbackSettings, agents: dict[str, AgentSettings]
) -> Engine:
    """The engine of the models, each part of which goes on with that of `embedded`. Both are loaded; what the models
    raise there passes through. `agents` are the agents as the embedded engine takes them over: the engine's learners,
    among which the models' are not, are to be told of such. A recognizer that transcribes in the background stays as it
    is: nobody waits for it."""
    mind, voice, ears = (CircuitBreaker(part, settings.lost_s) for part in ("model", "synthesizer", "recognizer"))
    recognizer = models.recognizer
    if recognizer and embedded.recognizer and not models.transcribes_in_background:
        recognizer = FallbackRecognizer(recognizer, embedded.recognizer, ears, agents)
    model = FallbackModel(models.model, embedded, settings, agents, breaker=mind, ears=ears)
    fallback: list[Learner] = [*embedded.learners, model]
    if isinstance(recognizer, FallbackRecognizer):
        fallback.append(recognizer)
    return Engine(
        model,
        FallbackSynthesizer(models.synthesizer, embedded.synthesizer, voice),
        recognizer,
        models.transcribes_in_background,
        learners=tuple(fallback),
    )
