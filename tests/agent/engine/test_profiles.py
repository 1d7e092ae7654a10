"""Which parts a profile consists of."""

from pathlib import Path
from typing import Any

import pytest

import config
from agent.engine.embedded import moonshine
from agent.engine.embedded.moonshine_recognizer import MoonshineRecognizer
from agent.engine.embedded.recognizer import PocketsphinxRecognizer
from agent.engine.fallback.model import FallbackModel
from agent.engine.fallback.recognizer import FallbackRecognizer
from agent.engine.over_agent import OverAgentModel, OverAgentRecognizer
from agent.engine.profiles import build_engine, build_models
from agent.exceptions import EngineError
from config.agent import load_agents
from config.engine import EngineSettings

AGENTS = load_agents(Path(config.__file__).parent / "agents")


@pytest.mark.parametrize("process", [True, False])
async def test_a_cascade_hears_with_the_recognizer_that_it_falls_back_on(process: bool) -> None:
    """pocketsphinx's decoders (54 MB for four) are there once and not in two processes."""
    values = {"profile": "cascade", "process": process, "embedded": {"recognizer": "pocketsphinx", "decoders": 1}}
    cascade = {"recognizer": "embedded", "synthesizer": "embedded"}
    settings = EngineSettings.model_validate({**values, "cascade": cascade})
    assert build_models(settings, AGENTS).recognizer is None
    engine = build_engine(settings, AGENTS)
    assert isinstance(engine.recognizer, FallbackRecognizer)
    assert isinstance(engine.model, FallbackModel)
    recognizer = engine.model._recognizer
    assert recognizer
    assert engine.recognizer._recognizer is engine.recognizer._embedded is recognizer
    await engine.recognizer.load()
    pools = dict(recognizer._pools)  # type: ignore[attr-defined]
    await recognizer.load()  # as the model does that falls back on it
    assert recognizer._pools == pools  # type: ignore[attr-defined]
    await engine.recognizer.close()
    await recognizer.close()


def embedded(recognizer: str) -> EngineSettings:
    return EngineSettings.model_validate({"embedded": {"recognizer": recognizer}})


async def test_moonshine_hears_where_it_is_installed_and_asked_for() -> None:
    for name, kind in (("auto", MoonshineRecognizer), ("moonshine", MoonshineRecognizer)):
        recognizer = build_engine(embedded(name), AGENTS).recognizer
        assert isinstance(recognizer, kind)
        await recognizer.close()
    assert isinstance(build_engine(embedded("pocketsphinx"), AGENTS).recognizer, PocketsphinxRecognizer)
    assert EngineSettings().embedded.recognizer == "auto"


def test_without_moonshine_pocketsphinx_hears_and_the_log_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(moonshine, "find_spec", lambda _: None)
    assert isinstance(build_engine(embedded("auto"), AGENTS).recognizer, PocketsphinxRecognizer)
    assert caplog.messages == [
        "callers are heard by pocketsphinx: Moonshine is not installed: pip install --no-deps moonshine-voice==0.1.0"
    ]
    with pytest.raises(EngineError, match="Moonshine is not installed"):
        build_engine(embedded("moonshine"), AGENTS)


NEEDS_WORDS = [
    ({"profile": "openai"}, True),
    ({"profile": "openai", "openai": {"audio": False}}, True),
    ({"profile": "gpu"}, True),
    ({"profile": "gpu", "voxtral": {"transcripts": "off"}}, True),
    ({"profile": "gpu", "voxtral": {"transcripts": "realtime"}}, False),
    ({"profile": "cascade"}, False),
    ({"profile": "cascade", "cascade": {"recognizer": "openai"}}, True),
    ({"profile": "cascade", "cascade": {"recognizer": "embedded"}}, False),
    ({"profile": "simulated"}, True),
    ({"profile": "embedded"}, False),
]


@pytest.mark.parametrize(("values", "needs"), NEEDS_WORDS)
def test_moonshine_hears_speech_over_the_agent_where_nothing_else_has_words_meanwhile(
    values: dict[str, Any], needs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moonshine, "Moonshine", lambda _: None)  # not loaded: it hears nobody here
    engine = build_engine(EngineSettings.model_validate(values), AGENTS)
    assert isinstance(engine.recognizer, OverAgentRecognizer) is needs
    assert isinstance(engine.model, OverAgentModel) is (values["profile"] == "simulated")
    if needs and isinstance(engine.model, FallbackModel):
        assert engine.recognizer._listener is engine.model._recognizer  # type: ignore[union-attr]  # it is there once
    chosen = EngineSettings.model_validate({**values, "embedded": {"recognizer": "pocketsphinx"}})
    assert not isinstance(build_engine(chosen, AGENTS).recognizer, OverAgentRecognizer)


def test_without_moonshine_the_log_says_what_ends_a_simulated_reply(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(moonshine, "find_spec", lambda _: None)
    settings = EngineSettings.model_validate({"profile": "simulated"})
    assert build_engine(settings, AGENTS).recognizer is None
    [line] = caplog.messages
    assert line.startswith("all speech over the agent ends its reply: Moonshine is not installed")
