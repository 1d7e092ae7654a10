"""What is heard while the caller speaks is what is heard at once, and nothing of it is left behind."""

import pytest
import torch

from agent.engine.base import SpeechBlock, Transcript
from agent.engine.voxtral.checkpoint import Checkpoint
from agent.engine.voxtral.decoder import Decoder
from agent.engine.voxtral.streaming_mel import MAX_UTTERANCES, Listening, Overhearing
from audio.rate import WIDE_RATE
from tests.agent.engine.remote_parts import Ears
from tests.agent.engine.voxtral.speaking import pcm

TURN = pcm(1, 2.0)


def speak(listening: Listening, audio: bytes = TURN, name: str = "a/u1", call: str = "a", *, wide: bytes = b"") -> None:
    for at in range(0, len(audio), 3200):
        listening.hear(SpeechBlock(name, call, "desk", audio[at : at + 3200], wide=wide[2 * at : 2 * at + 6400]))


def test_a_turn_is_heard_as_if_at_once(voxtral: Checkpoint, decoder: Decoder) -> None:
    listening = Listening()
    speak(listening, TURN[:-1000])
    bands = listening.bands("a", TURN)
    assert bands is not None
    with torch.inference_mode():
        heard = decoder.hear(TURN, bands)
        torch.testing.assert_close(heard, Decoder(voxtral, 2, 512).hear(TURN), atol=1e-4, rtol=1e-4)


def test_of_a_wide_band_line_it_hears_16_khz(voxtral: Checkpoint, decoder: Decoder) -> None:
    listening, wide = Listening(), pcm(3, 2.0, WIDE_RATE)
    speak(listening, TURN[:-1000], wide=wide[:-2000])
    assert listening.bands("a", TURN) is None
    assert listening.bands("a", wide) is None
    bands = listening.bands("a", wide, WIDE_RATE)
    assert bands is not None
    with torch.inference_mode():
        heard = decoder.hear(wide, bands, WIDE_RATE)
        expected = Decoder(voxtral, 2, 512).hear(wide, rate=WIDE_RATE)
        torch.testing.assert_close(heard, expected, atol=1e-4, rtol=1e-4)


def test_silence_at_another_rate_is_not_taken_for_its_own() -> None:
    listening = Listening()
    speak(listening, bytes(16_000))
    assert listening.bands("a", bytes(16_000), WIDE_RATE) is None
    assert listening.bands("a", bytes(16_000)) is not None


def test_other_calls_and_other_audio_are_not_known() -> None:
    listening = Listening()
    speak(listening)
    assert listening.bands("b", TURN) is None
    assert listening.bands("a", pcm(2, 3.0)) is None


def test_the_last_utterance_of_a_call_counts() -> None:
    listening = Listening()
    speak(listening)
    speak(listening, pcm(2, 2.0), "a/u2")
    listening.forget("a/u1")
    assert listening.bands("a", TURN) is None
    assert listening.bands("a", pcm(2, 2.0)) is not None


def test_what_is_forgotten_leaves_nothing_behind() -> None:
    listening = Listening()
    speak(listening)
    assert listening.forget("a/u1") is not None
    assert listening.forget("a/u1") is None
    assert listening.bands("a", TURN) is None
    for number in range(MAX_UTTERANCES + 3):
        speak(listening, TURN[:3200], f"{number}/u1", str(number))
    assert len(listening._utterances) == len(listening._last) == MAX_UTTERANCES
    listening.clear()
    assert not listening._utterances
    assert not listening._last


@pytest.mark.parametrize("over", ["finish", "cancel", "close"])
async def test_what_another_recognizer_hears_the_model_hears_too(over: str) -> None:
    listening = Listening()
    recognizer = Overhearing(Ears(), listening)
    await recognizer.load()
    assert (await recognizer.hear(SpeechBlock("a/u1", "a", "desk", TURN))).text == str(len(TURN))
    assert listening.bands("a", TURN) is not None
    match over:
        case "finish":
            assert await recognizer.finish("a/u1") == Transcript(str(len(TURN)), final=True)
        case "cancel":
            recognizer.cancel("a/u1")
            assert (await recognizer.finish("a/u1")).text == "0"
        case "close":
            await recognizer.close()
    assert listening.bands("a", TURN) is None
