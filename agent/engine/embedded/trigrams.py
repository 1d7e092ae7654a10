"""A trigram model of sentences, as text in ARPA format.

Words are numbers here, and so are n-grams, with the words' numbers as digits, so sorting by number also sorts by word.
"""

import math
from collections import Counter
from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

ORDER = 3
DISCOUNT = 0.5
START, END = "<s>", "</s>"
NEVER = -99.0  # the logarithm of no probability

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class NGrams(msgspec.Struct):
    """All n-grams of one length, in order."""

    numbers: Integers
    texts: list[str]
    probabilities: Floats
    back_off: Floats  # the weights of shorter ones after these; 0 after those that nothing follows


def arpa(corpus: Iterable[list[str]]) -> str:
    """The model of these sentences, with absolute discounting and back-off."""
    drawn = Counter(map(tuple, corpus))  # many come again and again
    text = [word for sentence in drawn for word in (START, *sentence, END)]
    names = sorted(set(text))
    number = {word: number for number, word in enumerate(names)}
    words = np.array([number[word] for word in text])
    times = np.repeat(list(drawn.values()), [len(sentence) + 2 for sentence in drawn])
    counts = np.bincount(words, times)
    counts[number[START]] = 0  # nothing leads to it
    levels = [NGrams(np.arange(len(names)), names, np.maximum(counts, 1) / counts.sum(), np.zeros(len(names)))]
    ngrams, whole = words, np.full(len(words), True)  # those that begin at each word, and whether in one sentence
    for size in range(2, ORDER + 1):
        ngrams = ngrams[:-1] * len(names) + words[size - 1 :]
        whole = whole[:-1] & (words[size - 1 :] != number[START])
        numbers, places = np.unique(ngrams[whole], return_inverse=True)
        counts = np.bincount(places, times[: len(whole)][whole])
        ends = numbers % len(names) ** (size - 1)
        levels.append(_longer(levels[-1], names, numbers, ends, counts))
    return _text(levels)


def _longer(level: NGrams, names: list[str], numbers: Integers, ends: Integers, counts: Integers | Floats) -> NGrams:
    """The n-grams that are one word longer than those of a level, which gets its back-off weights."""
    size, words = len(level.numbers), len(names)
    context = np.searchsorted(level.numbers, numbers // words)
    seen = np.bincount(context, counts, size)
    left = 1 - np.bincount(context, level.probabilities[np.searchsorted(level.numbers, ends)], size)
    level.back_off = DISCOUNT * np.bincount(context, minlength=size) / np.maximum(seen, 1) / np.maximum(left, 1e-6)
    texts = [f"{level.texts[at]} {names[word]}" for at, word in zip(context, numbers % words, strict=True)]
    return NGrams(numbers, texts, (counts - DISCOUNT) / seen[context], np.zeros(len(numbers)))


def _text(levels: list[NGrams]) -> str:
    lines = ["\\data\\", *(f"ngram {size}={len(level.texts)}" for size, level in enumerate(levels, 1))]
    for size, level in enumerate(levels, 1):
        lines.append(f"\n\\{size}-grams:")
        weights = [f" {math.log10(weight):z.4f}" if weight else "" for weight in level.back_off.tolist()]
        for probability, text, weight in zip(level.probabilities.tolist(), level.texts, weights, strict=True):
            logarithm = NEVER if text == START else math.log10(probability)
            lines.append(f"{logarithm:.4f} {text}{weight}")
    return "\n".join([*lines, "\n\\end\\", ""])
