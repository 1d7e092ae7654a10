"""The voice detector's network: equal to the published one, whatever the batch."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from agent.exceptions import EngineError
from agent.listening import silero
from agent.listening.silero import CONTEXT, STATE, WINDOW


def windows(count: int) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(count)
    level = 10 ** chance.uniform(-4, 0, (count, 1))
    sound = (chance.standard_normal((count, CONTEXT + WINDOW)) * level).clip(-1, 1)
    return sound.astype(np.float32), (chance.standard_normal((2, count, STATE)) * 0.4).astype(np.float32)


def test_it_says_what_the_published_network_says() -> None:
    published = onnxruntime.InferenceSession(str(silero.model_path()), providers=["CPUExecutionProvider"])
    ours = silero.load()
    for count in (1, 7, 64):
        sound, state = windows(count)
        wanted = published.run(None, {"input": sound, "state": state, "sr": np.array(8000)})
        for value, want in zip(ours.run(None, {"input": sound, "state": state}), wanted, strict=True):
            assert value.shape == want.shape
            np.testing.assert_allclose(value, want, atol=1e-5)


def test_a_window_does_not_depend_on_the_others_of_its_run() -> None:
    network = silero.load()
    sound, state = windows(40)
    together, states = network.run(None, {"input": sound, "state": state})
    for size in (1, 3, 8):
        for at in range(0, 40, size):
            part = slice(at, at + size)
            alone, after = network.run(None, {"input": sound[part], "state": state[:, part]})
            assert np.array_equal(alone, together[part])
            assert np.array_equal(after, states[:, part])


@pytest.mark.parametrize(("steps", "stride"), [(4, 1), (4, 2), (2, 2), (1, 1), (5, 2)])
def test_a_convolution_as_a_matrix(steps: int, stride: int) -> None:
    chance = np.random.default_rng(0)
    kernel = chance.standard_normal((3, 2, 3)).astype(np.float32)
    sound = chance.standard_normal((steps, 2)).astype(np.float32)
    padded = np.pad(sound, ((1, 1), (0, 0)))
    wanted = [np.einsum("oik,ki->o", kernel, padded[at : at + 3]) for at in range(0, steps, stride)]
    np.testing.assert_allclose(sound.ravel() @ silero.dense(kernel, steps, stride), np.ravel(wanted), atol=1e-5)


def test_a_missing_model_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert silero.model_path().is_file()
    monkeypatch.setattr(silero, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match="pip install --no-deps silero-vad"):
        silero.model_path()


def test_another_model_is_refused_by_name() -> None:
    other: Path = silero.model_path().with_name("silero_vad_16k_op15.onnx")
    with pytest.raises(EngineError, match="silero_vad_16k_op15"):
        silero.load(other)
