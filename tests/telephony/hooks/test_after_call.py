"""How long after_call waits between attempts."""

from hypothesis import given
from hypothesis import strategies as st

from telephony.hooks.after_call import back_off_s


def test_it_doubles_up_to_ten_minutes() -> None:
    waits = [back_off_s(attempts, 0.5) for attempts in range(1, 13)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_chance_spreads_it_by_a_quarter(attempts: int, chance: float) -> None:
    middle = back_off_s(attempts, 0.5)
    assert 0.75 * middle <= back_off_s(attempts, chance) <= 1.25 * middle <= 750
