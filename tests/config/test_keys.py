"""Keys as they are written down."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.keys import MOST, checked, duration_ms


@given(st.text("0123456789*#ABCDwW", min_size=1, max_size=MOST))
def test_keys_and_waits_are_taken_as_they_are(keys: str) -> None:
    assert checked(keys) == keys


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ("", "1 to 32 keys and waits are pressed at once, not 0"),
        ("1" * 33, "not 33"),
        ("1234x", "'x' is no key: 0-9 * # A-D are keys, w waits half a second and W a whole one"),
        ("12 34", "' ' is no key"),
        ("b", "'b' is no key"),
        ("1\n", r"'\n' is no key"),
        ("\u0661", "is no key"),  # a digit elsewhere
    ],
)
def test_what_is_wrong_is_named_and_nothing_else(keys: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)) as error:
        checked(keys)
    assert "1234" not in str(error.value)


def test_how_long_they_take() -> None:
    assert duration_ms("w10#W") == 500 + 3 * 160 + 1000
