"""Which row of phrases makes the most of a turn."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from agent.engine.embedded.phrase_run import (
    ANSWER,
    BUILT_IN,
    FILLER,
    INTENT,
    MAX_ANSWERS,
    MAX_WISHES,
    Span,
    longest_run,
)


def found(length: int, *spans: Span) -> list[list[Span]]:
    return [[span for span in spans if span.start == start] for start in range(length)]


def test_the_longest_row_wins_and_of_equal_ones_the_one_with_fewer_phrases() -> None:
    long, short, rest = Span(INTENT, "a", 0, 3, ()), Span(INTENT, "b", 0, 1, ()), Span(INTENT, "c", 1, 3, ())
    assert longest_run(found(3, short, rest, long)) == [long]
    assert longest_run(found(3, short, Span(INTENT, "d", 2, 3, ()))) == [short]


def test_a_text_takes_no_words_that_something_else_could_mean() -> None:
    whole = Span(ANSWER, "", 0, 6, (("street", "2:6"),), 4)
    street = Span(ANSWER, "", 0, 4, (("street", "2:4"),), 2)
    day = Span(ANSWER, "", 4, 6, (("day", "monday"),))
    assert longest_run(found(6, whole, street, day)) == [street, day]
    bare = Span(ANSWER, "", 4, 6, (("day", "monday"),), 0, True)
    assert longest_run(found(6, whole, street, bare)) == [whole]


def test_a_turn_has_few_wishes_and_some_answers() -> None:
    wishes = [Span(BUILT_IN, "no", at, at + 1, ()) for at in range(5)]
    assert len(longest_run(found(5, *wishes))) == MAX_WISHES
    answers = [Span(ANSWER, "", at, at + 1, ()) for at in range(9)]
    assert len(longest_run(found(9, *answers))) == MAX_ANSWERS


def test_fillers_alone_are_nothing() -> None:
    assert longest_run(found(2, Span(FILLER, "", 0, 1, ()), Span(FILLER, "", 1, 2, ()))) == []


SPANS = st.tuples(
    st.sampled_from([INTENT, ANSWER, FILLER]), st.integers(0, 59), st.integers(1, 8), st.integers(0, 3), st.booleans()
)


@given(st.lists(SPANS, max_size=200))
def test_a_row_has_no_gap(given_spans: list[tuple[str, int, int, int, bool]]) -> None:
    spans = [
        Span(kind, "x", start, min(start + size, 60), (), free, bare) for kind, start, size, free, bare in given_spans
    ]
    row = longest_run(found(60, *spans))
    assert all(a.end == b.start for a, b in itertools.pairwise(row))
    assert all(span in spans for span in row)
    if any(span.kind != FILLER for span in spans):
        assert row
