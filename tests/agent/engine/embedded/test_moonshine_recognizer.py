"""The recognizer around the network: when it is heard, in which order, and what it means."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import pytest_asyncio
import soxr

import config
from agent.engine.base import Expect, FloatArray, Meaning, SpeechBlock
from agent.engine.embedded import moonshine_recognizer as module
from agent.engine.embedded.moonshine import Alternative, Moonshine, model_folder
from agent.engine.embedded.moonshine_recognizer import ALTERNATIVES_MS, MAX_UTTERANCES, MoonshineRecognizer
from agent.engine.embedded.numerals import words_of
from agent.engine.embedded.understanding import Understanding
from agent.exceptions import EngineError
from audio import wav
from bench.hearing import word_errors
from config.agent import load_agents
from tests.agent.engine.embedded.telephone import SPOKEN, telephone

AGENTS = load_agents(Path(config.__file__).parent / "agents")
BLOCK = 3200  # bytes of 200 ms at 8 kHz
HUM = (3000 * np.sin(np.arange(800) / 2)).astype("<i2").tobytes()  # 100 ms


class Told(Moonshine):
    """Hears what it is told to, and remembers how much audio it was given."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.heard_ms: list[int] = []
        self.open = threading.Event()
        self.open.set()
        self.started = threading.Event()
        self.failing: Exception | None = None
        self.others: list[Alternative] = []
        self.searched_ms: list[int] = []

    def text(self, audio: FloatArray) -> str:
        self.started.set()
        assert self.open.wait(20)
        if self.failing:
            raise self.failing
        self.heard_ms.append(len(audio) // 16)
        return self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]

    def alternatives(self, audio: FloatArray) -> list[Alternative]:
        self.searched_ms.append(len(audio) // 16)
        return self.others


Make = Callable[..., tuple[MoonshineRecognizer, Told]]


@pytest_asyncio.fixture
async def make() -> AsyncGenerator[Make, None]:
    made: list[tuple[MoonshineRecognizer, Told]] = []

    def build(*texts: str) -> tuple[MoonshineRecognizer, Told]:
        told = Told(*texts)
        made.append((MoonshineRecognizer(AGENTS, told), told))
        return made[-1]

    yield build
    for recognizer, told in made:
        told.open.set()
        await recognizer.close()


def block(name: str = "u1", ms: int = 200, **more: object) -> SpeechBlock:
    fields: dict[str, object] = {"agent": "front_desk", "audio": HUM * (ms // 100), **more}
    return SpeechBlock(name, "CA1", **fields)  # type: ignore[arg-type]


async def test_a_whole_call_is_heard_by_the_network_itself(speech: Path) -> None:
    recognizer = MoonshineRecognizer({}, Moonshine(model_folder()))
    await recognizer.load()
    for name, text in SPOKEN.items():
        audio, rate = wav.read(speech / f"{name}.wav")
        pcm = telephone(audio, rate)
        partials = [
            (await recognizer.hear(SpeechBlock(name, "CA1", "cards", pcm[at : at + BLOCK]))).text
            for at in range(0, len(pcm), BLOCK)
        ]
        final = await recognizer.finish(name)
        assert final.final
        assert (final.meaning, final.complete) == (Meaning.TURN, None)  # this agent has no dialogue
        assert word_errors(text.split(), words_of(final.text)) <= 2
        assert not any(partials)  # nobody waits for them
    await recognizer.close()


async def test_a_wide_band_line_is_heard_at_16_khz(speech: Path) -> None:
    """The 8 kHz beside it are silent here."""
    recognizer = MoonshineRecognizer({}, Moonshine(model_folder()))
    audio, rate = wav.read(speech / "goforward.wav")
    wide = (soxr.resample(audio, rate, 16_000) * 32767).astype("<i2").tobytes()
    await recognizer.hear(SpeechBlock("u1", "CA1", "x", bytes(len(wide) // 2), wide=wide))
    assert words_of((await recognizer.finish("u1")).text) == "go forward ten meters".split()
    await recognizer.close()


@pytest.mark.parametrize(
    ("text", "expect", "may_go_on"),
    [
        ("But you tell me.", Expect.OPEN, True),
        ("The tap in the kitchen.", Expect.DATE, True),
        ("What are your opening hours?", Expect.OPEN, False),
        ("Yes, please.", Expect.YES_NO, False),
        ("Uh-huh.", Expect.OPEN, False),
        ("My daughter is with me, could you tell me what your address is?", Expect.OPEN, False),
        ("Twelve Hill Road.", Expect.TEXT, False),  # nobody knows what else it could be
        ("", Expect.OPEN, False),
    ],
)
async def test_the_rest_of_what_means_nothing_yet_is_waited_for(
    make: Make, text: str, expect: Expect, may_go_on: bool
) -> None:
    recognizer, _ = make(text)
    await recognizer.hear(block(expect=expect))
    assert (await recognizer.finish("u1")).may_go_on is may_go_on


async def test_an_utterance_is_heard_once_when_it_is_over(make: Make) -> None:
    recognizer, told = make("yes")
    assert {(await recognizer.hear(block())).text for _ in range(10)} == {""}
    assert told.heard_ms == []
    assert (await recognizer.finish("u1")).text == "yes"
    assert told.heard_ms == [2000]


async def test_utterances_are_heard_in_the_order_in_which_it_is_asked_for(make: Make) -> None:
    recognizer, told = make("yes")
    told.open.clear()
    await recognizer.hear(block("first", 400))
    finishing = asyncio.create_task(recognizer.finish("first"))
    await asyncio.sleep(0)
    assert (await recognizer.hear(block("other", 1000))).text == ""
    urgent = asyncio.create_task(recognizer.hear(block("over", 400, over=True)))
    last = asyncio.create_task(recognizer.finish("other"))
    await asyncio.sleep(0)
    told.open.set()
    assert (await finishing).text == (await urgent).text == (await last).text == "yes"
    assert told.heard_ms == [400, 400, 1000]


@pytest.mark.parametrize("by_id", [True, False])
async def test_what_is_cancelled_holds_nobody_up(make: Make, by_id: bool) -> None:
    """A minute in pieces, cancelled during the first of them; of one that waits, nothing is heard."""
    recognizer, told = make("yes")
    told.open.clear()
    long = recognizer._open(block("long"))
    for _ in range(300):
        long.add(block("long"))
    tasks = [asyncio.create_task(recognizer.finish("long"))]
    await recognizer.hear(block("waiting"))
    tasks.append(asyncio.create_task(recognizer.finish("waiting")))
    assert await asyncio.to_thread(told.started.wait, 20)
    for task, name in zip(tasks, ("long", "waiting"), strict=True):
        if by_id:
            recognizer.cancel(name)
        else:
            task.cancel()
    await asyncio.sleep(0)
    told.open.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(told.heard_ms) == 1
    assert not recognizer._utterances
    assert (await recognizer.finish("waiting")).text == ""


async def test_of_a_long_utterance_the_beginning_is_heard_once(make: Make) -> None:
    recognizer, told = make("one", "two", "end")
    texts = []
    for number in range(75):
        quiet = number in (30, 60)  # at 6 s and 12 s
        texts.append((await recognizer.hear(block(audio=bytes(BLOCK) if quiet else HUM * 2))).text)
    assert told.heard_ms == [6100, 6100]  # up to the quiet moments
    assert set(texts) == {"", "one", "one two"}
    assert (await recognizer.finish("u1")).text == "one two end"
    assert told.heard_ms[2:] == [2800]


async def test_of_a_long_one_over_the_agent_no_part_is_heard_twice_or_not_at_all(make: Make) -> None:
    recognizer, told = make("Hm.")
    for _ in range(75):
        await recognizer.hear(block(over=True))
    assert told.heard_ms[:8] == [*range(400, 3201, 400)]
    await recognizer.finish("u1")
    assert sum(told.heard_ms[8:]) == 15_000


async def test_a_hearing_that_fails_is_no_silence(make: Make) -> None:
    recognizer, told = make("yes")
    told.failing = EngineError("out of memory")
    with pytest.raises(EngineError, match="out of memory"):
        await recognizer.hear(block(ms=1000, over=True))
    told.failing = None
    assert (await recognizer.finish("u1")).text == "yes"


async def test_what_was_complete_is_not_while_more_is_unheard(make: Make) -> None:
    recognizer, _ = make("What are your opening hours?")
    found = [(await recognizer.hear(block(over=True))).complete for _ in range(9)]
    assert found == [None, True, True, *[None] * 6]


async def test_speech_over_the_agent_is_heard_often_only_while_it_matters(make: Make) -> None:
    recognizer, told = make("Hm.")
    for _ in range(40):
        await recognizer.hear(block(over=True))
    assert told.heard_ms == [*range(400, 3201, 400)]
    recognizer, told = make("What are your opening hours?")
    for _ in range(40):
        await recognizer.hear(block(over=True))
    assert told.heard_ms == [400]  # it interrupts; the rest is heard when it is over


async def test_who_waits_too_long_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FINISH_S", 0.05)
    recognizer, told = make("yes")
    told.open.clear()
    await recognizer.hear(block("first"))
    first = asyncio.create_task(recognizer.finish("first"))
    await asyncio.sleep(0)
    await recognizer.hear(block("other"))
    with pytest.raises(EngineError, match="too many utterances at once"):
        await recognizer.finish("other")
    told.open.set()
    assert (await first).text == "yes"


async def test_half_a_sample_is_left_out(make: Make) -> None:
    recognizer, told = make("yes")
    await recognizer.hear(block(audio=HUM + b"1"))
    await recognizer.finish("u1")
    assert told.heard_ms == [100]


async def test_silence_holds_no_words(make: Make) -> None:
    recognizer, told = make("You")
    await recognizer.hear(block(audio=bytes(16_000)))
    final = await recognizer.finish("u1")
    assert (final.text, final.meaning, told.heard_ms) == ("", Meaning.NOTHING, [])


async def test_where_digits_are_expected_words_that_sound_like_them_are_digits(make: Make) -> None:
    for text, heard in (
        ("Seven to zero for.", "Seven two zero four"),
        ("I'd like to talk to a person.", "I'd like to talk to a person."),
        ("Cancel it, for good.", "Cancel it, for good."),
    ):
        recognizer, _ = make(text)
        await recognizer.hear(block(expect=Expect.DIGITS))
        assert (await recognizer.finish("u1")).text == heard
        await recognizer.hear(block("u2"))
        assert (await recognizer.finish("u2")).text == text


async def test_what_was_misheard_is_what_the_dialogue_understands(make: Make) -> None:
    recognizer, told = make("What are your hoping hours?")
    told.others = [Alternative("What are you hoping hours?", 0.5), Alternative("What are your opening hours?", 0.2)]
    await recognizer.hear(block(ms=400))
    final = await recognizer.finish("u1")
    assert (final.text, final.meaning, final.complete) == ("What are your opening hours?", Meaning.TURN, True)
    assert told.searched_ms == [400]


async def test_no_other_words_are_looked_for_over_the_agent_or_of_a_long_speech(make: Make) -> None:
    recognizer, told = make("What are your hoping hours?")
    told.others = [Alternative("What are your opening hours?", 0.9)]
    await recognizer.hear(block("u1", over=True))
    assert (await recognizer.finish("u1")).text == "What are your hoping hours?"
    await recognizer.hear(block("u2", ms=ALTERNATIVES_MS + 200))
    assert (await recognizer.finish("u2")).text == "What are your hoping hours?"
    await recognizer.hear(block("u3", agent="without a dialogue"))
    assert (await recognizer.finish("u3")).text == "What are your hoping hours?"
    assert told.searched_ms == []


@pytest.mark.parametrize(
    ("text", "meaning", "complete"),
    [
        ("Uh-huh.", Meaning.BACKCHANNEL, None),
        ("What are your opening hours?", Meaning.TURN, True),
        ("Tuesday, at 10:00.", Meaning.TURN, True),
        ("I'd like to", Meaning.NOTHING, False),
        ("And Mr. John Dashwood had then leisure.", Meaning.NOTHING, None),
        ("And Mr. John Dashwood had,", Meaning.NOTHING, False),
        ("Yes,", Meaning.TURN, False),  # to an open question
    ],
)
async def test_the_dialogue_understands_its_text(
    make: Make, text: str, meaning: Meaning, complete: bool | None
) -> None:
    recognizer, _ = make(text)
    await recognizer.hear(block())
    final = await recognizer.finish("u1")
    assert (final.meaning, final.complete) == (meaning, complete)


async def test_what_has_ended_a_reply_has_ended_it(make: Make) -> None:
    recognizer, _ = make("What are your opening hours?", "Well.")
    assert (await recognizer.hear(block(ms=400, over=True))).meaning is Meaning.TURN
    await recognizer.hear(block(over=True))
    final = await recognizer.finish("u1")
    assert (final.text, final.meaning) == ("Well.", Meaning.TURN)


async def test_one_word_over_the_agent_is_told_when_it_is_over(make: Make) -> None:
    """The first half of "uh-huh" is heard as "No."."""
    recognizer, _ = make("No.", "Uh-huh.")
    assert (await recognizer.hear(block(ms=400, over=True))).meaning is Meaning.NOTHING
    await recognizer.hear(block(over=True))
    assert (await recognizer.finish("u1")).meaning is Meaning.BACKCHANNEL
    recognizer, _ = make("Stop.")
    await recognizer.hear(block(ms=400, over=True))
    assert (await recognizer.finish("u1")).meaning is Meaning.TURN


async def test_half_a_number_is_half_of_the_one_that_was_asked_for(make: Make) -> None:
    for digits, complete in (((0, 0), True), ((4, 4), True), ((4, 6), None), ((10, 10), False)):
        recognizer, _ = make("One two three four.")
        await recognizer.hear(msgspec.structs.replace(block(expect=Expect.DIGITS), expect_digits=digits))
        assert (await recognizer.finish("u1")).complete is complete, digits


@pytest.mark.parametrize(
    ("text", "partial", "final"),
    [
        ("No.", Meaning.NOTHING, Meaning.TURN),
        ("Ten of clubs.", Meaning.TURN, Meaning.TURN),
        ("Uh-huh.", Meaning.BACKCHANNEL, Meaning.BACKCHANNEL),
        ("", Meaning.NOTHING, Meaning.NOTHING),
    ],
)
async def test_over_an_agent_without_a_dialogue_any_words_mean_something(
    make: Make, text: str, partial: Meaning, final: Meaning
) -> None:
    recognizer, _ = make(text)
    assert (await recognizer.hear(block(agent="other", ms=400, over=True))).meaning is partial
    await recognizer.hear(block(agent="other", over=True))
    assert (await recognizer.finish("u1")).meaning is final


def test_a_number_that_was_asked_for_is_understood_however_it_is_said() -> None:
    desk = AGENTS["front_desk"].dialogue
    assert desk
    understanding = Understanding(desk)
    for text in ("1234", "12 34", "Twelve thirty-four.", "It's one two three four."):
        assert list(understanding.read(text, Expect.DIGITS).slots.values()) == ["1234"], text
    assert not understanding.read("Twelve thirty.")  # a time, which opens no task that asks for a number
    for text in ("no, on Wednesday at ten", "oh, never mind", "Can I talk to a human?"):
        assert understanding.read(text, Expect.DIGITS) == understanding.read(text), text


async def test_there_is_an_end_to_how_many_speak_at_once(make: Make) -> None:
    recognizer, _ = make("yes")
    for number in range(MAX_UTTERANCES):
        await recognizer.hear(block(f"u{number}"))
    with pytest.raises(EngineError, match="too many utterances"):
        await recognizer.hear(block("one more"))
