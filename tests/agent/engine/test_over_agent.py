"""Speech over the agent is heard by a recognizer of its own, in every engine without partial transcripts."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from agent import events as e
from agent.engine import over_agent as module
from agent.engine.base import (
    Backchannel,
    Cue,
    Done,
    Engine,
    Meaning,
    ModelEvent,
    ReplyRequest,
    SpeechBlock,
    Text,
    Transcript,
)
from agent.engine.over_agent import OverAgentModel, OverAgentRecognizer
from agent.engine.profiles import build_engine
from agent.exceptions import EngineError
from config.engine import EngineSettings
from tests.agent.engine.talk import AGENTS, TALKS, TalkOver, cough, hummed, person, spoken

ENGLISH = frozenset({"desk"})


class ToldListener:
    """A recognizer that is told what it hears, or does not get round to it."""

    def __init__(self, heard: Transcript | EngineError | None) -> None:
        self.heard = heard
        self.log: list[str] = []

    async def load(self) -> None:
        self.log.append("load")

    async def hear(self, block: SpeechBlock) -> Transcript:
        self.log.append(f"hear {block.utterance}")
        return await self._answer()

    async def finish(self, utterance: str) -> Transcript:
        self.log.append(f"finish {utterance}")
        return await self._answer()

    def cancel(self, utterance: str) -> None:
        self.log.append(f"cancel {utterance}")

    async def close(self) -> None:
        self.log.append("close")

    async def _answer(self) -> Transcript:
        if isinstance(self.heard, EngineError):
            raise self.heard
        if self.heard is None:
            await asyncio.Event().wait()
        assert self.heard
        return self.heard


class Deaf:
    """A model that says the same to everything."""

    async def load(self) -> None: ...

    async def reply(self, _: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        yield Text("Well.")
        yield Done()

    def cancel(self, request: str) -> None: ...

    async def close(self) -> None: ...


OWN = Transcript("own")
WORDS = Transcript("stop it", meaning=Meaning.TURN)


def block(*, over: bool, agent: str = "desk") -> SpeechBlock:
    return SpeechBlock("u1", "CA1", agent, bytes(320), over=over)


@pytest.mark.parametrize(
    ("over", "agent", "heard"), [(True, "desk", WORDS), (False, "desk", OWN), (True, "étude", OWN)]
)
async def test_it_hears_what_is_said_over_an_agent_in_its_language_and_the_engines_own_hears_all(
    over: bool, agent: str, heard: Transcript
) -> None:
    own, listener = ToldListener(OWN), ToldListener(WORDS)
    recognizer = OverAgentRecognizer(own, listener, ENGLISH)
    assert await recognizer.hear(block(over=over, agent=agent)) == heard
    assert await recognizer.finish("u1") == OWN
    assert own.log == ["hear u1", "finish u1"]
    assert listener.log == ["hear u1/over"] * (heard is WORDS) + ["cancel u1/over"]


async def test_without_a_recognizer_of_the_engines_there_are_no_other_words() -> None:
    recognizer = OverAgentRecognizer(None, ToldListener(WORDS), ENGLISH)
    assert await recognizer.hear(block(over=True)) == WORDS
    assert await recognizer.hear(block(over=False)) == Transcript("")
    assert await recognizer.finish("u1") == Transcript("", final=True)


async def test_where_it_fails_the_engines_own_hears_on(caplog: pytest.LogCaptureFixture) -> None:
    recognizer = OverAgentRecognizer(ToldListener(OWN), ToldListener(EngineError("too busy")), ENGLISH)
    assert await recognizer.hear(block(over=True)) == OWN
    assert caplog.messages == ["speech over the agent was not heard: too busy"]


async def test_both_are_loaded_forgotten_and_closed() -> None:
    own, listener = ToldListener(OWN), ToldListener(WORDS)
    recognizer = OverAgentRecognizer(own, listener, ENGLISH)
    await recognizer.load()
    recognizer.cancel("u1")
    await recognizer.close()
    assert own.log == ["load", "cancel u1", "close"]
    assert listener.log == ["load", "cancel u1/over", "close"]


async def reply(heard: Transcript | EngineError | None, agent: str = "desk", *, over: bool = True) -> list[ModelEvent]:
    model = OverAgentModel(Deaf(), ToldListener(heard), ENGLISH)
    request = ReplyRequest("r", "CA1", agent, Cue.ANSWER, audio=bytes(320), early=True, over=over)
    return [event async for event in model.reply(request)]


SPEAKS: list[Any] = [Text("Well."), Done()]


@pytest.mark.parametrize(
    ("heard", "events"),
    [
        (WORDS, SPEAKS),
        (Transcript("Uh-huh.", meaning=Meaning.BACKCHANNEL), [Backchannel(), Done()]),
        (Transcript("Ten of clubs.", meaning=Meaning.NOTHING), [Done()]),
        (Transcript("Uh-huh."), [Backchannel(), Done()]),  # a recognizer that leaves it to the text
        (Transcript("Ten of clubs."), SPEAKS),
        (EngineError("too busy"), SPEAKS),
    ],
)
async def test_a_model_that_hears_nothing_says_nothing_to_what_means_nothing(
    heard: Transcript | EngineError, events: list[ModelEvent]
) -> None:
    assert await reply(heard) == events
    assert await reply(heard, over=False) == await reply(heard, agent="étude") == SPEAKS


@pytest.mark.looptime
async def test_it_does_not_wait_for_long(caplog: pytest.LogCaptureFixture) -> None:
    before = asyncio.get_running_loop().time()
    assert await reply(None) == SPEAKS
    assert asyncio.get_running_loop().time() - before == module.LATE_S
    assert caplog.messages == ["speech over the agent was not heard: too late"]


SOUNDS = {
    "uh huh": (hummed("uh huh"), False),
    "mm hmm": (hummed("umhum"), False),
    "a cough": (cough(400), False),
    "ten of clubs": (person("cards-1"), False),  # which the agent knows nothing about
    "no": (spoken("No.", "am_michael"), True),
    "an address": (spoken("What's your address?", "bf_emma"), True),
    "people who go on": (person("goforward"), True),
}


async def test_with_the_simulated_engine_words_end_a_reply_and_sounds_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LATE_S", 60)
    engine = await simulated("auto")
    ended = {name: await TalkOver(engine, tmp_path).over(sound) for name, (sound, _) in SOUNDS.items()}
    assert ended == {name: ends for name, (_, ends) in SOUNDS.items()}
    talk = TalkOver(engine, tmp_path)
    await talk.over(spoken("No, wait, that is not what I meant.", "af_heart"))
    assert talk.times(e.Interrupted)[0] - talk.times(e.Pause)[0] < 800  # before its length tells
    await close(engine)


async def test_without_moonshine_all_of_them_do_that_are_as_loud_as_speech(tmp_path: Path) -> None:
    engine = await simulated("pocketsphinx")
    for name in ("uh huh", "ten of clubs", "no"):
        assert await TalkOver(engine, tmp_path).over(SOUNDS[name][0]), name
    await close(engine)


async def simulated(recognizer: str) -> Engine:
    values = {"profile": "simulated", "simulated": TALKS.model_dump(), "embedded": {"recognizer": recognizer}}
    engine = build_engine(EngineSettings.model_validate(values), AGENTS)
    for part in engine.parts():
        await part.load()
    return engine


async def close(engine: Engine) -> None:
    for part in engine.parts():
        await part.close()
