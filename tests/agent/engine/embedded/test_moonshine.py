"""The network itself, on people's recordings, noise and damaged files."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.base import FloatArray
from agent.engine.embedded import moonshine as module
from agent.engine.embedded.moonshine import (
    BEGIN,
    LONGEST_LOOP,
    MORE_TOKENS,
    REPEATS,
    REPEATS_OF_SHORT,
    SHA256,
    SHORT,
    WIDTH,
    Decoding,
    Moonshine,
    model_folder,
)
from agent.engine.embedded.numerals import words_of
from agent.exceptions import EngineError
from audio import wav
from bench.hearing import word_errors
from telephony.simulator.voices import path_of
from tests.agent.engine.embedded.telephone import SPOKEN, telephone

RATE = 16_000
READ_OUT = {
    "librivox-0870": "and mr john dashwood had then leisure to consider how much there might be prudently in his power "
    "to do for them",
    "librivox-0880": "he was not an ill disposed young man",
    "librivox-0890": "unless to be rather cold hearted and rather selfish is to be ill disposed",
}


@pytest.fixture(scope="module")
def moonshine() -> Moonshine:
    return Moonshine(model_folder())


def wide(pcm: bytes) -> FloatArray:
    """A telephone's audio as the network takes it."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
    return np.asarray(soxr.resample(samples, 8000, RATE), np.float32)


def test_people_are_understood_over_the_phone(moonshine: Moonshine, speech: Path) -> None:
    errors = total = 0
    for name, text in (SPOKEN | READ_OUT).items():
        heard = words_of(moonshine.text(wide(telephone(*wav.read(speech / f"{name}.wav")))))
        errors += word_errors(text.split(), heard)
        total += len(text.split())
    assert errors / total <= 0.1


def test_recorded_voices_are_understood_and_written_as_dialogues_have_it(moonshine: Moonshine) -> None:
    for text, voice in (("No, wait.", "am_michael"), ("Goodbye.", "af_heart"), ("Cancel my appointment.", "bm_george")):
        audio, rate = soundfile.read(path_of(text, voice), dtype="float32")
        assert words_of(moonshine.text(wide(telephone(audio, rate)))) == words_of(text)


def test_alternatives_are_other_words_with_their_shares_the_likeliest_first(moonshine: Moonshine) -> None:
    for text, voice in (("No, wait.", "am_michael"), ("Goodbye.", "af_heart"), ("Cancel my appointment.", "bm_george")):
        audio, rate = soundfile.read(path_of(text, voice), dtype="float32")
        found = moonshine.alternatives(wide(telephone(audio, rate)))
        shares = [other.share for other in found]
        assert words_of(found[0].text) == words_of(text)
        assert len({tuple(words_of(other.text)) for other in found}) == len(found) > 1  # no two for a comma
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1)


def test_alternatives_of_silence_noise_and_next_to_nothing_end(moonshine: Moonshine) -> None:
    noise = np.random.default_rng(0).standard_normal(6 * RATE).astype(np.float32)
    for audio in (np.zeros(0, np.float32), np.zeros(160, np.float32), np.zeros(RATE, np.float32), 0.02 * noise):
        assert len(moonshine.alternatives(audio)) <= WIDTH


def test_silence_noise_and_next_to_nothing_end(moonshine: Moonshine) -> None:
    noise = np.random.default_rng(0).standard_normal(20 * RATE).astype(np.float32)
    for audio in (np.zeros(0, np.float32), np.zeros(160, np.float32), np.zeros(RATE, np.float32), 0.02 * noise):
        assert len(moonshine.text(audio)) <= 400


def test_no_more_is_written_than_people_can_say(moonshine: Moonshine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "END", -1)
    monkeypatch.setattr(module, "_loop", lambda tokens: 0)
    monkeypatch.setattr(module, "TOKENS_A_SECOND", 2)
    taken: list[list[int]] = []
    monkeypatch.setattr(Moonshine, "_joined", lambda _, tokens: taken.append(tokens) or "")
    moonshine.text(np.zeros(3 * RATE, np.float32))
    assert len(taken[0]) == 2 * 3 + MORE_TOKENS


@given(
    st.lists(st.integers(10, 15), max_size=8),
    st.lists(st.integers(20, 29), min_size=1, max_size=LONGEST_LOOP, unique=True),
)
def test_a_loop_is_said_once(before: list[int], again: list[int]) -> None:
    times = REPEATS_OF_SHORT if len(again) <= SHORT else REPEATS
    assert module._loop([BEGIN, *before, *again * times][:-1]) == 0
    assert module._loop([BEGIN, *before, *again * times]) == len(again) * (times - 1)


def test_a_file_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model_folder(), tmp_path / "model"))
    damaged = folder / "tokenizer.bin"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(EngineError, match=r"damaged.*tokenizer\.bin; pip install --no-deps moonshine-voice"):
        Moonshine(folder)
    (folder / "encoder_model.ort").unlink()
    with pytest.raises(EngineError, match=r"cannot be read.*encoder_model\.ort: No such file"):
        Moonshine(folder)


def test_a_network_that_onnxruntime_does_not_run_is_an_engine_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(model_folder(), tmp_path / "model"))
    for name in SHA256:
        (folder / name).write_bytes(b"no network")
    monkeypatch.setattr(module, "_checked", lambda path, _: path.read_bytes())
    with pytest.raises(EngineError, match="cannot run Moonshine here"):
        Moonshine(folder)


def test_a_run_that_fails_is_an_engine_error(moonshine: Moonshine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Decoding, "_of_rows", lambda *_: np.zeros(0, np.float32))  # the network is given too little
    for heard in (moonshine.text, moonshine.alternatives):
        with pytest.raises(EngineError, match="Moonshine failed: "):
            heard(np.zeros(RATE, np.float32))


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(EngineError, match="pip install --no-deps moonshine-voice"):
        model_folder()
