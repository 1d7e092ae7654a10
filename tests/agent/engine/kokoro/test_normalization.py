"""What is said in the place of written words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.kokoro.normalization import read_out


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("at 3:30 or 10:05.", "at 3 30 or 10 oh 5."),
        ("at 3:00 p.m. sharp", "at 3 p.m. sharp"),
        ("at 5:00, please", "at 5 o'clock, please"),
        ("from 9-5, 9:00-17:30", "from 9 to 5, 9 to 17 30"),
        ("$3.50-$4.50", "$3.50 to $4.50"),
        ("call 555-1234.", "call 5 5 5, 1 2 3 4."),
        ("(555) 123-4567", "(5 5 5) 1 2 3, 4 5 6 7"),
        ("+44 is it", "plus 4 4 is it"),
        ("account 0123 or 12345678", "account 0 1 2 3 or 1 2 3 4 5 6 7 8"),
        ("in 2024 for 1,234 or $42.50", "in 2024 for 1,234 or $42.50"),
        ("a.b@example.com, www.x.org/help.", "a dot b at example dot com, www dot x dot org slash help."),
        ("St. James St., No. 5", "Saint James Street, number 5"),
        ("on Jan. 5th, vs. Main St.", "on January 5th, versus Main Street."),
        ("say no. and e-mail Dr. Smith's", "say no. and e-mail Dr. Smith's"),
    ],
)
def test_what_is_said(written: str, said: str) -> None:
    assert " ".join(read_out(written.split())) == said


@given(st.lists(st.text(alphabet="019:-.,()+$@aSt", min_size=1).filter(lambda word: not word.isspace())))
def test_every_word_has_its_place(words: list[str]) -> None:
    assert len(read_out(words)) == len(words)
