"""Agents that an engine cannot hear or speak for are refused before the first call, with the reason."""

import logging
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from agent.engine.base import SpeakRequest, Speech
from agent.engine.embedded.synthesizer import EspeakSynthesizer
from agent.engine.fallback.circuit_breaker import CircuitBreaker
from agent.engine.fallback.synthesizer import FallbackSynthesizer
from agent.engine.languages import check_hearing, check_voices, without_models
from agent.engine.profiles import build_engine
from agent.exceptions import EngineError
from config.agent import AgentSettings
from config.dialogue import Dialogue
from config.engine import EngineSettings

DIALOGUE = Dialogue.model_validate(
    {"texts": {"greeting": "Hola."}, "intents": {"hours": {"phrases": ["hours"], "answer": "Nine."}}}
)


def agents(**values: Any) -> dict[str, AgentSettings]:
    return {"desk": AgentSettings(name="desk", dialogue=DIALOGUE, **values)}


@pytest.mark.parametrize(
    ("engine", "heard", "not_heard"),
    [
        ({"profile": "embedded"}, "en-us en-gb EN-US en", "es xx-klingon"),
        ({"profile": "gpu"}, "en-gb es fr-fr hi it pt-br de", "ja xx-klingon"),
        ({"profile": "cascade"}, "en-gb es ja", "xx-klingon sv"),
        ({"profile": "cascade", "cascade": {"recognizer": "embedded"}}, "en-gb", "es"),
        ({"profile": "cascade", "cascade": {"recognizer": "embedded", "audio": True}}, "en-gb es", ""),
        ({"profile": "openai"}, "en-gb es sv", ""),
        ({"profile": "simulated"}, "en-gb es sv", ""),
    ],
)
def test_who_hears_what(engine: dict[str, Any], heard: str, not_heard: str) -> None:
    settings = EngineSettings(**engine)
    for language in heard.split():
        check_hearing(settings, agents(language=language))
    for language in not_heard.split():
        with pytest.raises(EngineError, match=f"^desk.yaml: language: '{language}': .* knows only .*en"):
            check_hearing(settings, agents(language=language))


def test_an_engine_that_would_not_understand_the_callers_is_not_built() -> None:
    with pytest.raises(EngineError, match=r"desk\.yaml: language: 'es': the embedded recognizer"):
        build_engine(EngineSettings(), agents(language="es"))


async def test_a_dialogue_that_would_not_understand_does_not_take_over(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        build_engine(EngineSettings(profile="openai"), agents(language="es", transfers={"desk": "+15550100199"}))
    assert "desk.yaml: language: 'es' is not understood without the models" in caplog.text
    assert without_models(agents(language="es"))["desk"].dialogue is None
    assert without_models(agents(language="en-gb"))["desk"].dialogue is DIALOGUE


class Kazoo:
    """A Synthesizer with one voice and one language."""

    async def load(self) -> None:
        """Nothing."""

    async def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        if (request.voice, request.language) != ("kazoo", "es"):
            raise EngineError("I hum in Spanish only")
        for piece in ():
            yield piece

    def cancel(self, request: str) -> None:
        """Nothing."""

    async def close(self) -> None:
        """Nothing."""


async def test_every_agents_voice_is_tried_also_that_of_the_fall_back() -> None:
    espeak = EspeakSynthesizer()
    both = FallbackSynthesizer(Kazoo(), espeak, CircuitBreaker("synthesizer", 10))
    await check_voices(espeak, agents(language="en-gb").values())
    await check_voices(both, agents(language="es", voice="kazoo").values())
    with pytest.raises(EngineError, match=r"^desk\.yaml: voice: 'kazoo', language: 'es': espeak-ng has no "):
        await check_voices(espeak, agents(language="es", voice="kazoo").values())
    with pytest.raises(EngineError, match=r"^desk\.yaml: language: 'es': I hum"):
        await check_voices(both, agents(language="es").values())
    deaf_and_dumb = FallbackSynthesizer(espeak, Kazoo(), CircuitBreaker("synthesizer", 10))
    with pytest.raises(EngineError, match=r"^desk\.yaml: language: 'es': I hum"):
        await check_voices(deaf_and_dumb, agents(language="es", voice="es").values())
    await espeak.close()
