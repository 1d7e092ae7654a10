"""The slot cache against attention over everything that was ever put in."""

import numpy as np
import pytest
import torch

from agent.engine.realtime.cache import CacheShape, ConvStates, RingCache

SHAPE = CacheShape(layers=2, heads=2, length=12, width=4)
WINDOW = 8


def states(rows: int, new: int, seed: int) -> torch.Tensor:
    return torch.randn(rows, SHAPE.heads, new, SHAPE.width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("new", [1, 4])
def test_the_mask_shows_the_window_and_nothing_else(new: int) -> None:
    cache = RingCache(SHAPE, WINDOW, 3, torch.zeros(1))
    everything: dict[int, list[torch.Tensor]] = {0: [], 1: [], 2: []}
    positions = np.array([0, 2 * new, 5 * new])  # each slot at its own place in time
    for row, start in enumerate(positions):
        for index in range(0, start, new):
            key = states(1, new, 100 * row + index)
            cache.at(slice(row, row + 1), np.arange(index, index + new)[None])
            cache.update(key, -key, 1)
            everything[row] += key[0].unbind(1)
    for step in range(12):
        keys = states(3, new, 1000 + step)
        where, mask = cache.at(slice(0, 3), positions[:, None] + np.arange(new))
        assert torch.equal(where, torch.from_numpy(positions[:, None] + np.arange(new)))
        got, values = cache.update(keys, -keys, 1)
        for row in range(3):
            everything[row] += keys[row].unbind(1)
            for query in range(new):
                last = positions[row] + query
                seen = got[row][:, mask[row, 0, query]]
                expected = torch.stack(everything[row][max(0, last - WINDOW + 1) : last + 1], 1)
                assert sorted(seen.flatten().tolist()) == sorted(expected.flatten().tolist())
                assert torch.equal(values[row][:, mask[row, 0, query]], -seen)
        positions += new


def test_layers_do_not_mix() -> None:
    cache = RingCache(SHAPE, WINDOW, 1, torch.zeros(1))
    cache.at(slice(0, 1), np.array([[0]]))
    cache.update(states(1, 1, 0), states(1, 1, 1), 0)
    keys, _ = cache.update(states(1, 1, 2), states(1, 1, 3), 1)
    assert torch.equal(keys[:, :, :1], states(1, 1, 2))
    assert cache.update(states(1, 1, 0), states(1, 1, 1), 0)[0][:, :, :1].equal(states(1, 1, 0))


def test_a_copied_slot_is_the_same_and_wholly_its_own() -> None:
    cache = RingCache(SHAPE, WINDOW, 2, torch.zeros(1))
    cache.at(slice(0, 1), np.array([[0]]))
    cache.update(states(1, 1, 0), states(1, 1, 1), 0)
    cache.copy(0, 1)
    cache.at(slice(0, 1), np.array([[0]]))
    cache.update(states(1, 1, 7), states(1, 1, 8), 0)
    cache.at(slice(1, 2), np.array([[1]]))
    keys, values = cache.update(states(1, 1, 2), states(1, 1, 3), 0)
    assert keys[:, :, :1].equal(states(1, 1, 0))
    assert values[:, :, :1].equal(states(1, 1, 1))


def test_convolutions_over_chunks_are_those_over_the_whole() -> None:
    convolution = torch.nn.Conv1d(3, 5, kernel_size=3)
    convolution.left_pad = 2
    audio = torch.randn(2, 3, 16)
    whole = convolution(torch.nn.functional.pad(audio, (2, 0)))
    states = ConvStates({"one": convolution}, 2, audio)
    chunks = []
    for start in range(0, 16, 4):
        states.at(slice(0, 2))
        states.update(torch.full((2, 3, 4), 9.0), "one", convolution)  # a step that failed
        chunks.append(convolution(states.update(audio[..., start : start + 4], "one", convolution)))
        states.commit(torch.tensor([0, 1]))
    torch.testing.assert_close(torch.cat(chunks, -1), whole)


def test_only_rows_that_took_part_are_committed_and_rewinding_brings_back_the_marked() -> None:
    convolution = torch.nn.Conv1d(1, 1, kernel_size=3)
    convolution.left_pad = 2
    states = ConvStates({"one": convolution}, 3, torch.zeros(1))
    states.at(slice(1, 3))
    states.update(torch.tensor([[[1.0, 2.0, 3.0]], [[4.0, 5.0, 6.0]]]), "one", convolution)
    states.commit(torch.tensor([1]))
    states.mark(2)
    states.update(torch.zeros(2, 1, 3), "one", convolution)
    states.commit(torch.tensor([0, 1]))
    states.rewind(2)
    joined = states.update(torch.zeros(2, 1, 1), "one", convolution)
    assert joined[:, 0].tolist() == [[0.0, 0.0, 0.0], [5.0, 6.0, 0.0]]
