"""A long number comes in parts: "five five five", "one two three", "four five six seven". Pure functions."""

from collections.abc import Sequence

from config.slots import SlotType


def joined(parts: Sequence[str], digits: str, slot: SlotType, *, corrects: bool = False) -> tuple[list[str], str]:
    """The parts so far with these digits, and the number once it is whole; `corrects`: they stand for the last part.
    Who says it all over again need not be asked for the rest. Neither parts nor number: there were too many digits."""
    before = [*parts[:-1]] if corrects else [*parts]
    number = "".join([*before, digits])
    if digits.startswith("".join(before)) or len(digits) == slot.longest:  # no other digits can follow the parts
        number = digits if len(digits) >= slot.shortest else number
    if slot.shortest <= len(number) <= slot.longest:
        return [], number
    parts = [*before, digits] if digits else before
    return (parts, "") if len("".join(parts)) < slot.shortest else ([], "")
