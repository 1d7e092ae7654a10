"""Numbers in a transcript as callers say them: "10:30" as ten thirty, "1234" digit by digit. Pure functions."""

import re
from collections.abc import Sequence

ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"}
ORDINALS |= {"twelve": "twelfth", **{ten: f"{ten[:-1]}ieth" for ten in TENS}}
TITLES = {"mr": "mister", "mrs": "missus", "dr": "doctor"}
TIMES = {"double": 2, "triple": 3}

_TOKEN = re.compile(
    r"(\d{1,2}):(\d\d)|(\d{1,2})(?:st|nd|rd|th)\b|(\d+)|([ap])\.m\.?"
    # Moonshine may write "to-morrow" and "some one".
    r"|(to[- ](?:day|night|morrow)\b|(?:some|any|every)[- ](?:one|body|thing)\b|[a-z']+)",
    re.ASCII | re.IGNORECASE,
)


def words_of(transcript: str) -> list[str]:
    """The words of a transcript in lower case, numbers as words, without punctuation."""
    return [word for word, _, _ in words_at(transcript)]


def words_at(transcript: str) -> list[tuple[str, int, int]]:
    """The same, each with where it stands in the transcript; the words of one number stand at the same place."""
    return [(word, found.start(), found.end()) for found in _TOKEN.finditer(transcript) for word in _words(found)]


def _words(found: re.Match[str]) -> list[str]:
    hour, minute, ordinal, number, half, word = found.groups()
    if hour:
        return [*_cardinal(hour), *_minutes(minute)]
    if ordinal:
        *before, last = _cardinal(ordinal)
        return [*before, ORDINALS.get(last, f"{last}th")]
    if number:
        return _cardinal(number) if len(number) < 3 else [ONES[int(digit)] for digit in number]
    word = half + "m" if half else re.sub("[- ]", "", word)
    return [TITLES.get(word.lower(), word.lower())]


def are_numbers(words: Sequence[str]) -> bool:
    """Whether they are words of numbers, and no others."""
    return bool(words) and all(word == "oh" or word in ONES or word in TEENS or word in TENS for word in words)


def digit_by_digit(words: list[str]) -> list[str]:
    """The same with numbers below a hundred as their digits: "double five" is five five."""
    spelled: list[str] = []
    at = 0
    while at < len(words):
        digits, end = _group(words, at) or ("", at + 1)
        spelled += [ONES[int(digit)] for digit in digits] or words[at:end]
        at = end
    return spelled


def _group(words: list[str], at: int) -> tuple[str, int] | None:
    word, after = (*words[at : at + 2], "", "")[:2]
    if digit := digit_of(word):
        return digit, at + 1
    if word in TEENS:
        return str(10 + TEENS.index(word)), at + 1
    if word in TENS:
        one = digit_of(after)
        more = one if one not in ("", "0") else ""
        return f"{2 + TENS.index(word)}{more or 0}", at + 1 + bool(more)
    if word in TIMES and (digit := digit_of(after)):
        return digit * TIMES[word], at + 2
    return None


def digit_of(word: str) -> str:
    """The digit that a word names; empty: it names none."""
    if word in ("oh", "o"):
        return "0"
    return str(ONES.index(word)) if word in ONES else ""


def _cardinal(number: str) -> list[str]:
    """Of one or two digits; a zero before the other is said."""
    if len(number) == 1 or number[0] == "0":
        return [ONES[int(digit)] for digit in number]
    if number[0] == "1":
        return [TEENS[int(number[1])]]
    return [TENS[int(number[0]) - 2], *([ONES[int(number[1])]] if number[1] != "0" else [])]


def _minutes(minute: str) -> list[str]:
    if minute == "00":
        return []
    return ["oh", ONES[int(minute[1])]] if minute[0] == "0" else _cardinal(minute)
