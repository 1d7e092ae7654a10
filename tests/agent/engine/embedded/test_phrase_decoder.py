"""One pocketsphinx decoder: its dictionary, and what it forgets between utterances."""

from pathlib import Path

import numpy as np
import pytest

import config
from agent.engine.base import Expect
from agent.engine.embedded.language_model import vocabulary
from agent.engine.embedded.phrase_decoder import PhraseDecoder, build_decoders, model_name, pronunciations
from agent.engine.embedded.synthesizer import say
from agent.exceptions import EngineError
from audio.resample import to_line
from config.agent import load_agents
from config.phrase import parse_phrase

DIALOGUE = load_agents(Path(config.__file__).parent / "agents")["front_desk"].dialogue
assert DIALOGUE


@pytest.fixture(scope="module")
def decoder() -> PhraseDecoder:
    assert DIALOGUE
    return build_decoders("front_desk", DIALOGUE, 1)[0]


@pytest.fixture(scope="module")
def hours() -> bytes:
    """A question, at 8 kHz."""
    return to_line(*say("what are your opening hours", "en-us+adam", 0.9))


def hear(decoder: PhraseDecoder, pcm: bytes) -> None:
    decoder.learn_level(pcm)
    for at in range(0, len(pcm), 640):
        decoder.hear(pcm[at : at + 640])


def test_the_words_are_there_before_the_end_and_the_fit_is_on_one_scale(decoder: PhraseDecoder, hours: bytes) -> None:
    decoder.start(Expect.OPEN)
    hear(decoder, hours + bytes(4800))
    assert decoder.text() == "what are your opening hours"
    partial = decoder.fit()
    decoder.end()
    assert decoder.text() == "what are your opening hours"
    assert -8 < decoder.fit() < 0
    assert abs(decoder.fit() - partial) < 1


def test_an_utterance_that_was_broken_off_is_forgotten(decoder: PhraseDecoder, hours: bytes) -> None:
    def fresh() -> tuple[str, float]:
        decoder.start(Expect.OPEN)
        hear(decoder, hours)
        decoder.end()
        return decoder.text(), decoder.fit()

    fresh()  # the very first utterance of a decoder scores a little differently
    alone = fresh()
    decoder.start(Expect.OPEN)
    hear(decoder, hours[: len(hours) // 4 * 2] * 2)
    text, fit = fresh()
    assert text == alone[0]
    assert fit == pytest.approx(alone[1], abs=0.01)


def test_quiet_and_loud_are_brought_to_one_level_and_silence_is_left_alone(
    decoder: PhraseDecoder, hours: bytes
) -> None:
    samples = np.frombuffer(hours, "<i2")
    for gain in (0.1, 0.9 * 32767 / np.abs(samples).max()):
        decoder.start(Expect.OPEN)
        hear(decoder, (samples * gain).astype("<i2").tobytes())
        decoder.end()
        assert decoder.text() == "what are your opening hours"
    decoder.start(Expect.OPEN)
    hear(decoder, bytes(16000))
    decoder.end()
    assert decoder.text() == ""


def test_each_kind_of_question_has_its_model_and_another_over_the_agent() -> None:
    names = {model_name(expect, over=over) for expect in Expect for over in (False, True)}
    assert len(names) == 2 * len(Expect)


def test_a_word_that_cannot_be_pronounced_is_named() -> None:
    assert DIALOGUE
    dialogue = DIALOGUE.model_copy(update={"before": (parse_phrase("xyzzyx"),)})
    with pytest.raises(EngineError, match=r"agent 'cards'.*xyzzyx"):
        build_decoders("cards", dialogue, 1)
    told = dialogue.pronunciations | {"xyzzyx": "Z IH Z IY"}
    pronounced = dialogue.model_copy(update={"pronunciations": told})
    assert "xyzzyx Z IH Z IY" in pronunciations("cards", vocabulary(pronounced), pronounced.pronunciations)
