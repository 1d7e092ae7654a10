"""Speech over the agent with a model that hears: words end a reply while they are spoken, and what is over sooner is
what the model's first token says."""

from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest_asyncio

from agent import events as e
from agent.engine.base import Cue, Engine, ModelEvent, ReplyRequest
from agent.engine.embedded.moonshine import Moonshine, model_folder
from agent.engine.embedded.moonshine_recognizer import MoonshineRecognizer
from agent.engine.over_agent import with_words_over_agent
from agent.engine.simulated import SimulatedModel, SimulatedSynthesizer
from agent.engine.voxtral.model import VoxtralModel
from bench.checkpoints.voxtral import build
from config.settings import Settings
from tests.agent.engine.talk import AGENTS, TALKS, TalkOver, hummed, person, spoken
from tests.agent.engine.voxtral.test_model import settings


class Greeted(VoxtralModel):
    """Its greeting is long."""

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        """See SpeechModel."""
        replies = SimulatedModel(TALKS).reply(request) if request.cue is Cue.GREET else super().reply(request)
        async for event in replies:
            yield event


@pytest_asyncio.fixture
async def listener() -> AsyncIterator[MoonshineRecognizer]:
    recognizer = MoonshineRecognizer(AGENTS, Moonshine(model_folder()))
    yield recognizer
    await recognizer.close()


async def opened(folder: Path, says: str, listener: MoonshineRecognizer) -> Engine:
    model = Greeted(settings(build(folder, says={"[/INST]": [says]})), AGENTS)
    await model.load()
    engine = Engine(model, SimulatedSynthesizer(TALKS), model.transcriber, transcribes_in_background=True)
    return with_words_over_agent(engine, listener, AGENTS)


async def test_a_model_that_hears_listening_only_is_interrupted_by_words(
    tmp_path: Path, listener: MoonshineRecognizer
) -> None:
    engine = await opened(tmp_path / "listening", "~", listener)
    assert not await TalkOver(engine, tmp_path).over(hummed("uh huh"))
    assert not await TalkOver(engine, tmp_path).over(person("cards-1"))
    talk = TalkOver(engine, tmp_path)
    assert await talk.over(spoken("No, wait, that is not what I meant.", "af_heart"))
    [paused], [ended] = talk.times(e.Pause), talk.times(e.Interrupted)
    assert ended - paused < Settings().turn.interrupt_ms - 100  # the words, while they are spoken
    assert not any(start.request.over for start in talk.asked())
    await engine.model.close()


async def test_what_is_over_soon_is_what_the_models_first_token_says(
    tmp_path: Path, listener: MoonshineRecognizer
) -> None:
    engine = await opened(tmp_path / "answering", " Good", listener)
    for sound in (hummed("uh huh"), spoken("No.", "am_michael")):
        talk = TalkOver(engine, tmp_path)
        assert await talk.over(sound)
        assert [start.request.over for start in talk.asked()][:1] == [True]
    await engine.model.close()
