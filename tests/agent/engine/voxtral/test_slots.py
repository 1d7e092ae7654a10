import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.voxtral.slots import MIN_ROWS, DecoderShape, SlotCache, Slots, bucket, common


def test_rows_are_decoded_in_few_sizes() -> None:
    assert [bucket(least, 8, 64) for least in (1, 8, 9, 33, 64)] == [8, 8, 16, 64, 64]
    assert [bucket(least, 512, 3000) for least in (1, 513, 2049, 3000)] == [512, 1024, 3000, 3000]
    assert bucket(1, 8, 3) == 3


def test_what_two_prompts_begin_with() -> None:
    assert common([1, 2, 3], [1, 2, 4, 5]) == 2
    assert common([1, 2], [1, 2, 4]) == 2
    assert common([], [1]) == 0


def test_slots_are_low_and_take_turns() -> None:
    slots = Slots(64)
    first = [slots.take() for _ in range(3)]
    for slot in first:
        slots.give_back(slot)
    later = [slots.take() for _ in range(MIN_ROWS)]
    assert sorted(later) == list(range(MIN_ROWS))
    assert later[-3:] == first, "what was given back last is kept for longest"
    assert slots.take() == MIN_ROWS


def test_a_slot_is_given_back_once() -> None:
    slots = Slots(2)
    slot = slots.take()
    slots.give_back(slot)
    with pytest.raises(AssertionError, match="twice"):
        slots.give_back(slot)


def test_a_call_finds_what_it_has_said_before() -> None:
    slots = Slots(8)
    slots.hold(1, "a", [1, 2, 3, 4])
    slots.hold(2, "a", [1, 2, 3, 9])
    slots.hold(3, "b", [1, 2, 3, 4, 5])
    assert slots.longest("a", [1, 2, 3, 4, 5]) == (1, 4)
    assert slots.longest("a", [1, 2, 3, 9, 9]) == (2, 4)
    assert slots.longest("c", [1, 2, 3, 4, 5]) == (0, 0)


@given(st.integers(1, 40), st.lists(st.integers(0, 60)))
def test_slots_never_leak(count: int, moves: list[int]) -> None:
    slots, taken = Slots(count), []
    for move in moves:
        if move % 2 and slots.free:
            slot = slots.take()
            assert slot not in taken and slot < bucket(len(taken) + 1, MIN_ROWS, count)
            taken.append(slot)
        elif taken:
            slots.give_back(taken.pop(move % len(taken)))
        assert slots.free == count - len(taken)


def cache() -> SlotCache:
    return SlotCache(DecoderShape(2, 6, 3, 5), 4, 10, device=torch.device("cpu"), dtype=torch.float32)


def test_beginnings_are_copied() -> None:
    slots = cache()
    slots.keys.uniform_()
    slots.values.uniform_()
    saved = slots.save(0, 6)
    slots.copy(0, 2, 4)
    torch.testing.assert_close(slots.keys[:, 2, :, :4], slots.keys[:, 0, :, :4])
    assert not torch.equal(slots.keys[:, 2, :, 4:], slots.keys[:, 0, :, 4:])
    slots.keys[:, 0] = 0
    slots.restore(1, saved, 5)
    torch.testing.assert_close(slots.values[:, 1, :, :5], slots.values[:, 0, :, :5])
    torch.testing.assert_close(slots.keys[:, 1, :, :4], slots.keys[:, 2, :, :4])
