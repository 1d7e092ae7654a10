"""Beam search, beside a search of everything."""

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.embedded.beam import likeliest

BEGIN, END, TOKENS = 0, 1, 4


class ToyNetwork:
    """Scores by the last token and by how many came before; remembers what each row has seen."""

    def __init__(self, seed: int, length: int) -> None:
        self.scores = np.random.default_rng(seed).normal(size=(length + 1, TOKENS, TOKENS)).astype(np.float32)
        self.rows: list[list[int]] = [[]]
        self.widest = 0

    def step(self, tokens: Sequence[int], origins: Sequence[int]) -> npt.NDArray[np.float32]:
        self.rows = [[*self.rows[origin], token] for token, origin in zip(tokens, origins, strict=True)]
        self.widest = max(self.widest, len(self.rows))
        return np.stack([self.scores[len(row) - 1, row[-1]] for row in self.rows])

    def likelihood(self, tokens: Sequence[int]) -> float:
        """Of a whole sequence, in nats."""
        total = 0.0
        for place, (before, token) in enumerate(zip([BEGIN, *tokens], [*tokens, END], strict=True)):
            scores = self.scores[place, before].astype(float)
            total += scores[token] - math.log(np.exp(scores).sum())
        return total


@given(st.integers(0, 2**32), st.integers(1, 4))
def test_a_beam_as_wide_as_there_are_sequences_finds_the_best_of_all(seed: int, length: int) -> None:
    network = ToyNetwork(seed, length)
    found = likeliest(network.step, BEGIN, END, most=length, width=TOKENS ** (length + 1))
    every = [tokens for size in range(length + 1) for tokens in product((0, 2, 3), repeat=size)]
    best = sorted(map(network.likelihood, every), reverse=True)
    assert sorted(tuple(tokens) for _, tokens in found) == sorted(every)
    # Two may be as likely as each other but for the last digits.
    assert all(
        math.isclose(score, likelihood, abs_tol=1e-4) for (score, _), likelihood in zip(found, best, strict=True)
    )
    assert all(math.isclose(score, network.likelihood(tokens), abs_tol=1e-4) for score, tokens in found)


@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(0, 8))
def test_a_narrow_beam_is_bounded_and_tells_true_likelihoods_in_order(seed: int, width: int, length: int) -> None:
    network = ToyNetwork(seed, length)
    found = likeliest(network.step, BEGIN, END, most=length, width=width)
    assert len(found) <= width >= network.widest
    assert all(len(tokens) <= length and END not in tokens for _, tokens in found)
    assert [score for score, _ in found] == sorted((score for score, _ in found), reverse=True)
    assert all(math.isclose(score, network.likelihood(tokens), abs_tol=1e-4) for score, tokens in found)


def test_what_never_ends_is_none_and_takes_no_more_steps_than_it_may_have_tokens() -> None:
    steps = 0

    def step(tokens: Sequence[int], origins: Sequence[int]) -> npt.NDArray[np.float32]:
        nonlocal steps
        steps += 1
        return np.tile(np.array([0, -np.inf, 1, 2], np.float32), (len(tokens), 1))

    assert likeliest(step, BEGIN, END, most=5, width=2) == []
    assert steps == 6


def test_a_certain_network_is_asked_once_for_each_token() -> None:
    said, steps = [2, 3, 2], 0

    def step(tokens: Sequence[int], origins: Sequence[int]) -> npt.NDArray[np.float32]:
        nonlocal steps
        steps += 1
        scores = np.full((len(tokens), TOKENS), -50, np.float32)
        scores[0, [*said, END][steps - 1]] = 0
        return scores

    [(score, tokens), *_] = likeliest(step, BEGIN, END, most=9, width=1)
    assert (tokens, steps) == (said, 4)
    assert math.isclose(score, 0.0, abs_tol=1e-6)
