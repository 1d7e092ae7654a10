"""The simulated engine: exactly the delays and lengths it is told."""

import asyncio

import numpy as np
import pytest

from agent.engine.base import Cue, Done, Next, ReplyRequest, SpeakRequest, Text
from agent.engine.simulated import SimulatedModel, SimulatedSynthesizer, hum
from audio.rate import RATE
from config.engine import SimulatedSettings

FAST = {"first_word_ms": 0, "word_ms": 0, "first_audio_ms": 0, "delivery_speed": 10_000}


def request(cue: Cue = Cue.ANSWER) -> ReplyRequest:
    return ReplyRequest("r", "CA1", "desk", cue)


async def test_a_reply_has_its_words_and_sentences() -> None:
    model = SimulatedModel(SimulatedSettings(**FAST, words=5, words_per_sentence=2))
    events = [event async for event in model.reply(request())]
    text = "".join(event.text for event in events if isinstance(event, Text))
    assert text == "word1 word2. word3 word4. word5."
    assert events[-1] == Done()


@pytest.mark.parametrize("cue", [Cue.FAREWELL, Cue.SHUTDOWN])
async def test_it_hangs_up_when_told_to(cue: Cue) -> None:
    model = SimulatedModel(SimulatedSettings(**FAST))
    assert [event async for event in model.reply(request(cue))][-1] == Done(next=Next.HANG_UP)


async def test_without_greeting_or_words_it_is_silent() -> None:
    for settings, cue in (
        (SimulatedSettings(**FAST, greeting=False), Cue.GREET),
        (SimulatedSettings(**FAST, words=0), Cue.ANSWER),
    ):
        assert [type(event) async for event in SimulatedModel(settings).reply(request(cue))] == [Done]


async def test_delays_are_those_of_the_settings() -> None:
    loop = asyncio.get_running_loop()
    settings = SimulatedSettings(
        first_word_ms=40, word_ms=20, words=3, first_audio_ms=30, audio_ms_per_word=100, delivery_speed=10
    )
    start, times = loop.time(), []
    async for _ in SimulatedModel(settings).reply(request()):
        times.append(1000 * (loop.time() - start))
    assert times[0] >= 39
    assert times[2] >= 79
    start, times = loop.time(), []
    async for _ in SimulatedSynthesizer(settings).speak(SpeakRequest("s", "one two three")):
        times.append(1000 * (loop.time() - start))
    assert times[0] >= 29
    assert times[2] >= 49


async def test_every_word_is_audio_of_its_length_with_its_time() -> None:
    synthesizer = SimulatedSynthesizer(SimulatedSettings(**FAST, audio_ms_per_word=250))
    pieces = [piece async for piece in synthesizer.speak(SpeakRequest("s", "word1 word2."))]
    assert [piece.words[0].text for piece in pieces] == ["word1", "word2."]
    for piece in pieces:
        assert (len(piece.audio), piece.rate) == (RATE // 4, RATE)
        assert piece.words[0].end_ms == 200
        spoken = piece.audio[: RATE // 5]
        assert np.sqrt(np.mean(spoken**2)) > 0.1
        assert not piece.audio[RATE // 5 :].any()


@pytest.mark.parametrize("duration_ms", [1, 2, 7, 300])
def test_any_length_can_be_hummed(duration_ms: int) -> None:
    assert len(hum(duration_ms)) == 8 * duration_ms
