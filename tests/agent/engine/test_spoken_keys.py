"""Keys of a telephone by their names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.spoken_keys import STAR_AND_POUND, spell_keys


@pytest.mark.parametrize(
    ("language", "written", "said"),
    [
        ("en-us", "Press * or #.", "Press star or pound."),
        ("en-gb", "Press * or #.", "Press star or hash."),
        ("en-us", "Dial *67, then (#21#)", "Dial star 6 7, then (pound 2 1 pound)"),
        ("en-us", 'Press "1#" now', 'Press "1 pound" now'),
        ("es", "Pulse # o *", "Pulse almohadilla o asterisco"),
        ("pt-br", "Tecle #", "Tecle jogo da velha"),
        ("xx", "Press *", "Press *"),
        ("en-us", "* First, **Monday** and *this*", "* First, **Monday** and *this*"),
        ("en-us", "order #1042 *** C# 10", "order #1042 *** C# 10"),
    ],
)
def test_what_is_said(language: str, written: str, said: str) -> None:
    assert " ".join(spell_keys(written.split(), language)) == said


@given(st.lists(st.text(alphabet='*#019a."', min_size=1)), st.sampled_from([*STAR_AND_POUND, "xx"]))
def test_every_word_has_its_place(words: list[str], language: str) -> None:
    assert len(spell_keys(words, language)) == len(words)
