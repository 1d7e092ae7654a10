"""The language model of a dialogue: proper ARPA, and what callers say is likelier than what they do not."""

import math
from pathlib import Path

import pytest

import config
from agent.engine.base import Expect
from agent.engine.embedded.language_model import SHORT, STRANGERS, questions, sentences, vocabulary
from agent.engine.embedded.trigrams import arpa
from agent.engine.embedded.understanding import Understanding
from config.agent import load_agent

DIALOGUE = load_agent(Path(config.__file__).parent / "agents" / "front_desk.yaml").dialogue
assert DIALOGUE


def read(text: str) -> dict[tuple[str, ...], tuple[float, float]]:
    """Every n-gram with its log10 probability and back-off weight."""
    ngrams = {}
    for line in text.splitlines():
        parts = line.split(" ")
        if line and not line.startswith(("\\", "ngram")):
            weight = float(parts.pop()) if len(parts) > 2 and _is_number(parts[-1]) else 0.0
            ngrams[tuple(parts[1:])] = (float(parts[0]), weight)
    return ngrams


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def probability(ngrams: dict[tuple[str, ...], tuple[float, float]], context: tuple[str, ...], word: str) -> float:
    """As a decoder would look it up, backing off where it must."""
    if (*context, word) in ngrams:
        return 10 ** ngrams[(*context, word)][0]
    weight = 10 ** ngrams.get(context, (0.0, 0.0))[1]
    return weight * probability(ngrams, context[1:], word)


@pytest.fixture(scope="module")
def ngrams() -> dict[tuple[str, ...], tuple[float, float]]:
    assert DIALOGUE
    return read(arpa(sentences(DIALOGUE, Expect.OPEN, 5000)))


@pytest.mark.parametrize("context", [(), ("<s>",), ("your",), ("opening", "hours"), ("<s>", "yes"), ("on", "the")])
def test_probabilities_of_all_words_after_any_context_add_up_to_one(
    ngrams: dict[tuple[str, ...], tuple[float, float]], context: tuple[str, ...]
) -> None:
    words = [ngram[0] for ngram in ngrams if len(ngram) == 1 and ngram != ("<s>",)]
    assert sum(probability(ngrams, context, word) for word in words) == pytest.approx(1, abs=0.01)


def test_what_callers_say_is_likelier(ngrams: dict[tuple[str, ...], tuple[float, float]]) -> None:
    def score(words: str) -> float:
        padded = ["<s>", *words.split(), "</s>"]
        places = range(1, len(padded))
        return sum(math.log10(probability(ngrams, tuple(padded[max(0, at - 2) : at]), padded[at])) for at in places)

    assert score("what are your opening hours") > score("hours opening your are what") + 3


def test_every_sentence_is_understood_and_the_vocabulary_holds_its_words() -> None:
    assert DIALOGUE
    words, understanding = vocabulary(DIALOGUE), Understanding(DIALOGUE)
    drawn = list(sentences(DIALOGUE, Expect.OPEN, 500))
    assert {word for sentence in drawn for word in sentence} <= words
    understood = [bool(understanding.read(" ".join(sentence))) for sentence in drawn]
    assert sum(understood) > 0.98 * len(drawn)


def test_the_question_changes_what_is_expected() -> None:
    assert DIALOGUE
    said = {expect: [" ".join(s) for s in sentences(DIALOGUE, expect, 2000)] for expect in questions(DIALOGUE)}
    share = {expect: sum("yes" in text.split() for text in texts) for expect, texts in said.items()}
    assert share[Expect.YES_NO] > 1.5 * share[Expect.OPEN]
    assert list(sentences(DIALOGUE, Expect.OPEN, 50)) == list(sentences(DIALOGUE, Expect.OPEN, 50))


def test_over_the_agent_callers_also_listen_and_stop_it_and_strangers_talk() -> None:
    assert DIALOGUE
    texts = [" ".join(sentence) for sentence in sentences(DIALOGUE, Expect.OPEN, 10_000, over=True)]
    understanding = Understanding(DIALOGUE)
    alone = {"uh huh", "mhm", "okay", "yeah", "i see", "hold on", *SHORT}
    assert alone <= set(texts)
    assert not alone - {"yes", "no", "yeah"} & {" ".join(words) for words in sentences(DIALOGUE, Expect.OPEN, 2000)}
    assert {word for text in texts for word in text.split()} <= vocabulary(DIALOGUE)
    assert not any(understanding.read(word) for word in STRANGERS)
