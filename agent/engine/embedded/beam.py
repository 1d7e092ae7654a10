"""Beam search: the likeliest sequences of tokens, by a network that scores one token after another. Pure functions."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

# Scores of what comes next (rows, tokens), before softmax, after one more token in each row; the second argument has
# for each row which of the rows before it continues.
Step = Callable[[Sequence[int], Sequence[int]], npt.NDArray[Any]]


def likeliest(step: Step, begin: int, end: int, *, most: int, width: int) -> list[tuple[float, list[int]]]:
    """At most `width` sequences of at most `most` tokens between `begin` and `end`, each with the logarithm of its
    probability, the likeliest first. One that has not ended by then is not among them."""
    rows: list[tuple[float, list[int]]] = [(0.0, [])]
    tokens, origins = [begin], [0]
    ended: list[tuple[float, list[int]]] = []
    for _ in range(most + 1):
        scores = _log_softmax(step(tokens, origins)) + np.array([[score] for score, _ in rows], np.float32)
        top = np.argpartition(-scores, min(width, scores.size) - 1, axis=None)[:width]
        ways = [(float(scores.flat[at]), *divmod(int(at), scores.shape[1])) for at in top]
        ways.sort(key=lambda way: -way[0])
        ended += [(score, rows[row][1]) for score, row, token in ways if token == end]
        ended = sorted(ended, key=lambda way: -way[0])[:width]
        going_on = [way for way in ways if way[2] != end]
        worst = ended[-1][0] if len(ended) == width else -np.inf
        if not going_on or going_on[0][0] <= worst:
            break  # what goes on only becomes less likely
        rows = [(score, [*rows[row][1], token]) for score, row, token in going_on]
        origins, tokens = [row for _, row, _ in going_on], [token for *_, token in going_on]
    return ended


def _log_softmax(scores: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    shifted = (scores - scores.max(axis=1, keepdims=True)).astype(np.float32)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
