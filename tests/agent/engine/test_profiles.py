"""Which parts a profile consists of."""

from pathlib import Path

import pytest

import config
from agent.engine.embedded import moonshine
from agent.engine.embedded.moonshine_recognizer import MoonshineRecognizer
from agent.engine.embedded.recognizer import PocketsphinxRecognizer
from agent.engine.fallback.model import FallbackModel
from agent.engine.fallback.recognizer import FallbackRecognizer
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
