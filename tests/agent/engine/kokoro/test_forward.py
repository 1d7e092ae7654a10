"""Several texts in one run sound as each of them alone, and as the stock model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agent.engine.base import FloatArray
from agent.engine.kokoro.forward import FRAME, Forward, SynthesisInput
from agent.engine.kokoro.loading import Voices, load_model
from bench.checkpoints.kokoro import GENUINE_RATES, build

pytestmark = pytest.mark.slow  # compared, sample by sample, with the stock model

# Of spectra. A few phases of the source lie at the edge of the circle, where rounding turns them over: 0.013 even when
# two equal texts are run together.
ALIKE = 0.06  # the same is 0.0004 to 0.036, by text and processor; without masks it is 0.4
TEXTS = ("ʃˈʊɹ.", "jˌʊɹ bˈæləns.", "ʃˈʊɹ, ˌI kæn.")


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stages of the genuine decoder."""
    return build(tmp_path_factory.mktemp("genuine"), pace=1.5, rates=GENUINE_RATES, voices=["af_heart"])


@pytest.fixture(scope="module", autouse=True)
def no_chance() -> Iterator[None]:
    """Phases begin at 0, and the noise is the same for every row: else nothing could be compared."""
    noise = torch.randn(1, 200_000, 9, generator=torch.Generator().manual_seed(1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "rand", torch.zeros)
        patch.setattr(torch, "randn_like", lambda like: noise[:, : like.shape[1], : like.shape[2]].expand_as(like))
        yield


@pytest.fixture(scope="module")
def model(genuine: Path) -> Any:
    return load_model(genuine, "cpu")


@pytest.fixture(scope="module")
def untouched(model: Any, genuine: Path) -> tuple[FloatArray, list[int]]:
    """What the stock forward makes of the second text, before anything is done to the model."""
    return stock(model, rows(model, genuine)[1])


@pytest.fixture(scope="module")
def forward(model: Any, untouched: object) -> Forward:
    return Forward(model)


def rows(model: Any, folder: Path, speeds: tuple[float, ...] = (1.0, 1.0, 1.0)) -> list[SynthesisInput]:
    voice = Voices(folder, "cpu").get("af_heart")
    tokens = [tuple(model.vocab[character] for character in text) for text in TEXTS]
    return [SynthesisInput(each, voice[len(each) - 1], speed) for each, speed in zip(tokens, speeds, strict=True)]


def stock(model: Any, row: SynthesisInput) -> tuple[FloatArray, list[int]]:
    audio, durations = model.forward_with_tokens(torch.tensor([[0, *row.tokens, 0]]), row.style, row.speed)
    return audio.numpy(), durations.tolist()


def spectrum(audio: FloatArray) -> FloatArray:
    """Magnitudes, without the last 10 ms, where an inverse STFT has less to go by."""
    windows = np.lib.stride_tricks.sliding_window_view(audio[:-240], 480)[::240]
    magnitudes: FloatArray = np.abs(np.fft.rfft(windows * np.hanning(480).astype(np.float32))).astype(np.float32)
    return magnitudes


def difference(one: FloatArray, other: FloatArray) -> float:
    """Of two spectra, as a part of the first."""
    first, second = spectrum(one), spectrum(other)
    return float(np.linalg.norm(first - second) / np.linalg.norm(first))


def test_alone_it_is_the_stock_forward(
    model: Any, genuine: Path, untouched: tuple[FloatArray, list[int]], forward: Forward
) -> None:
    audio, durations = untouched
    row = rows(model, genuine)[1]
    (spoken,) = forward([row])
    assert spoken.durations.tolist() == durations
    assert len(spoken.audio) == sum(durations) * FRAME
    np.testing.assert_allclose(spoken.audio, audio, atol=1e-5)
    np.testing.assert_array_equal(stock(model, row)[0], audio)  # the model's own forward is as it was


def test_together_each_is_as_it_is_alone(
    model: Any, genuine: Path, forward: Forward, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = rows(model, genuine, (1.0, 0.8, 1.3))
    alone = [forward([row])[0] for row in each]
    together = forward(each)
    assert len({len(spoken.audio) for spoken in alone}) == len(TEXTS)  # so there was padding
    for one, other in zip(alone, together, strict=True):
        assert other.durations.tolist() == one.durations.tolist()
        assert len(other.audio) == len(one.audio)
        assert difference(one.audio, other.audio) < ALIKE
    monkeypatch.setattr(forward._padding, "of", lambda *_: forward._padding)
    assert difference(alone[0].audio, forward(each)[0].audio) > 4 * ALIKE  # so much the masks are worth


def test_texts_of_one_length_need_no_padding(model: Any, genuine: Path, forward: Forward) -> None:
    row = rows(model, genuine)[0]
    one, other = forward([row, row])
    (alone,) = forward([row])
    assert difference(alone.audio, one.audio) < ALIKE
    assert difference(alone.audio, other.audio) < ALIKE


def test_speed(model: Any, genuine: Path, forward: Forward) -> None:
    row = rows(model, genuine)[2]
    slow, fast = (forward([SynthesisInput(row.tokens, row.style, speed)])[0] for speed in (0.5, 2.0))
    assert len(slow.audio) > 1.5 * len(fast.audio)
    assert fast.durations.min() >= 1


def test_a_failed_run_leaves_nothing_behind(model: Any, genuine: Path, forward: Forward) -> None:
    each = rows(model, genuine)
    (before,) = forward(each[:1])
    hook = model.decoder.generator.conv_post.register_forward_pre_hook(_fail)
    with pytest.raises(ValueError, match="within the decoder"):
        forward(each[:2])
    hook.remove()
    (after,) = forward(each[:1])
    np.testing.assert_array_equal(before.audio, after.audio)


def _fail(*_: object) -> None:
    raise ValueError("within the decoder")
