"""How callers say which part of what was read back is wrong: "no, the third one", "the street is wrong", "the last
digit is a six". Pure functions."""

import re
from collections.abc import Iterator

from agent.engine.embedded.numerals import ONES, digit_of
from config.dialogue import Dialogue
from config.intent import FIELD
from config.phrase import Choice, parse_phrase

PLACES = "first second third fourth fifth sixth seventh eighth ninth tenth".split()
LAST = "last"
NEGATIONS = ["(not | it's not | it isn't | i didn't say | i don't mean | i didn't mean) [the | on | at | for]"]
REPAIRS = [
    "(no wait | no sorry | sorry no | i mean | sorry i mean | i meant | or rather | make that | scratch that | but)"
]

WRONG = "(is | was) (wrong | not right | incorrect | not correct) | (isn't | wasn't) (right | correct)"

_ANY_PLACE = f"({' | '.join((*PLACES, LAST))})"
_ANY_DIGIT = f"({' | '.join((*ONES, 'oh'))})"


def phrases(dialogue: Dialogue) -> Iterator[tuple[str, Choice]]:
    """Each kind of correction with a phrase for it: the slot's name, "#" and a place, or "digit"."""
    for slot in dialogue.slots:
        names = " | ".join(dialogue.names_of(slot))
        yield slot, parse_phrase(f"[not] (the | my) ({names}) [{WRONG}]")
        yield slot, parse_phrase(f"(wrong | change) [the | my] ({names})")
    for place in (*PLACES, LAST):
        yield f"#{place}", parse_phrase(f"[not] the {place} (one | thing | part | bit) [{WRONG}]")
        yield f"#{place}", parse_phrase(f"the {place} is wrong")
    yield "digit", parse_phrase(f"the {_ANY_PLACE} (digit | number | one) (is | should be) [a | an] {_ANY_DIGIT}")


def order(read_back: str, ask: list[str]) -> list[str]:
    """The slots in the order in which a text reads them back."""
    named = [name for name in FIELD.findall(read_back) if name in ask]
    return list(dict.fromkeys(named)) or ask


def at_place(place: str, items: list[str]) -> str:
    """The item that "third" or "last" means; empty if there is none."""
    if not items or (place != LAST and PLACES.index(place) >= len(items)):
        return ""
    return items[-1] if place == LAST else items[PLACES.index(place)]


def with_digit(words: str, number: str) -> str:
    """A number with one digit changed, as in "the third digit is a six"; empty if it has no such digit."""
    found = re.search(rf"the ({'|'.join((*PLACES, LAST))}) .* (\w+)", words)
    at = at_place(found[1], [str(place) for place in range(len(number))]) if found else ""
    digit = digit_of(found[2]) if found else ""
    return f"{number[: int(at)]}{digit}{number[int(at) + 1 :]}" if at and digit else ""
