"""Engines that learn further agents while calls are on, and forget them again."""

from pathlib import Path
from typing import Any

import pytest

import config
from agent.engine.base import Cue, Engine, ReplyRequest, SpeechBlock, Text
from agent.engine.embedded.moonshine_recognizer import MoonshineRecognizer
from agent.engine.profiles import build_engine
from agent.exceptions import EngineError
from config.agent import AgentSettings, load_agents
from config.engine import EngineSettings

DESK = load_agents(Path(config.__file__).parent / "agents")["front_desk"]
TALKER = AgentSettings(name="talker")


async def greeting(engine: Engine, name: str) -> str:
    events = engine.model.reply(ReplyRequest("r", "CA1", name, Cue.GREET))
    return "".join([event.text async for event in events if isinstance(event, Text)])


async def test_a_dialogue_heard_by_moonshine() -> None:
    settings = EngineSettings.model_validate({"embedded": {"recognizer": "moonshine"}})
    engine = build_engine(settings, {"desk": DESK})
    recognizer = engine.recognizer
    assert isinstance(recognizer, MoonshineRecognizer)
    await engine.learn({"desk#2": DESK, "talker#2": TALKER})
    assert await greeting(engine, "desk#2") == await greeting(engine, "desk")
    assert recognizer._understandings.keys() == {"desk", "desk#2"}
    engine.forget(["desk#2", "talker#2", "nobody"])
    with pytest.raises(EngineError):
        await greeting(engine, "desk#2")
    assert recognizer._understandings.keys() == {"desk"}
    await recognizer.close()


async def test_a_dialogue_heard_by_pocketsphinx() -> None:
    settings = EngineSettings.model_validate({"embedded": {"recognizer": "pocketsphinx", "decoders": 1}})
    engine = build_engine(settings, {"talker": TALKER})
    assert engine.recognizer
    await engine.learn({"desk#2": DESK})
    block = SpeechBlock("u", "CA1", "desk#2", bytes(9600))
    await engine.recognizer.hear(block)
    assert (await engine.recognizer.finish("u")).final
    await engine.recognizer.hear(block)
    engine.forget(["desk#2"])
    engine.recognizer.cancel("u")  # it keeps its decoder until then, which goes nowhere
    with pytest.raises(EngineError, match="has no `dialogue`"):
        await engine.recognizer.hear(block)
    await engine.recognizer.close()


@pytest.mark.parametrize(
    "values",
    [
        {"profile": "openai"},
        {"profile": "cascade", "process": False, "cascade": {"recognizer": "embedded", "synthesizer": "embedded"}},
    ],
)
async def test_every_part_that_knows_agents_learns_them(values: dict[str, Any]) -> None:
    """The models' server is not there, so the dialogue answers: the fallback must know it too."""
    more = {"openai": {"url": "http://127.0.0.1:9/v1"}, "embedded": {"recognizer": "pocketsphinx", "decoders": 1}}
    engine = build_engine(EngineSettings.model_validate(values | more), {"talker": TALKER})
    await engine.learn({"desk#2": DESK})
    assert "dental" in (await greeting(engine, "desk#2")).lower()
    engine.forget(["desk#2"])
    with pytest.raises(EngineError):
        await greeting(engine, "desk#2")
    for part in engine.parts():
        await part.close()


async def test_what_only_some_parts_can_learn_none_keeps() -> None:
    class Refusing:
        async def learn(self, agents: dict[str, AgentSettings]) -> None:
            raise EngineError("no")

        def forget(self, agents: object) -> None:
            pass

    settings = EngineSettings.model_validate({"embedded": {"recognizer": "moonshine"}})
    engine = build_engine(settings, {"desk": DESK})
    broken = Engine(engine.model, engine.synthesizer, engine.recognizer, learners=(*engine.learners, Refusing()))
    with pytest.raises(EngineError, match="no"):
        await broken.learn({"desk#2": DESK})
    with pytest.raises(EngineError):
        await greeting(engine, "desk#2")
    assert engine.recognizer
    await engine.recognizer.close()
