"""Each press of a key counts once, by however many ways it comes."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from telephony.keypad import MAX_REMEMBERED, Keypad, Way

EVENT, INFO, TONE = Way.EVENT, Way.INFO, Way.TONE


def test_the_same_key_by_two_ways_counts_once_whichever_comes_first() -> None:
    for first, second in itertools.permutations((EVENT, INFO, TONE), 2):
        keypad = Keypad()
        assert keypad.press("5", first, 11_900)
        assert not keypad.press("5", second, 11_920)
        assert keypad.repeated == 1


def test_after_half_a_second_it_is_another_press() -> None:
    keypad = Keypad()
    assert keypad.press("5", EVENT, 0)
    assert not keypad.press("5", INFO, 500)
    assert keypad.press("5", INFO, 1001)


def test_one_key_twice_by_one_way_is_two() -> None:
    keypad = Keypad()
    assert [keypad.press("5", EVENT, at) for at in (0, 120, 240)] == 3 * [True]


def test_a_long_press_that_is_told_when_it_is_let_go_counts_once() -> None:
    keypad = Keypad()
    assert keypad.press("5", EVENT, 0)
    assert not keypad.press("5", INFO, 2020, lasted_ms=2000)


def test_a_tone_that_goes_on_is_the_press_of_a_message_at_its_end() -> None:
    keypad = Keypad()
    assert keypad.press("5", TONE, 0)
    for at in range(20, 3000, 20):
        keypad.hold(TONE, at)
    assert not keypad.press("5", Way.MESSAGE, 3400)
    assert keypad.press("5", Way.MESSAGE, 3600)


def test_what_is_remembered_is_bounded() -> None:
    keypad = Keypad()
    for at in range(1000):
        keypad.press("5", EVENT, at)
    assert len(keypad._presses) == MAX_REMEMBERED


@given(st.text("0156#", max_size=12), st.integers(60, 200), st.data())
def test_quick_dialling_by_two_ways_gives_each_key_once(keys: str, every_ms: int, data: st.DataObject) -> None:
    """Each way keeps its order; one may lag behind the other."""
    lags = [data.draw(st.integers(0, 200)) for _ in range(2)]
    told = [(every_ms * n + lags[way], n, way, key) for n, key in enumerate(keys) for way in range(2)]
    keypad, got = Keypad(), ""
    for at, _, way, key in sorted(told):
        got += key if keypad.press(key, (EVENT, INFO)[way], at) else ""
    assert got == keys
