"""Words spelled letter by letter: "b as in bravo", "double l", "m i l l e r". Pure functions."""

from agent.engine.embedded.numerals import TIMES, digit_of

ALPHABET = tuple("abcdefghijklmnopqrstuvwxyz")
NATO = """alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec romeo
sierra tango uniform victor whiskey x-ray yankee zulu""".split()
NAMES = {"zed": "z", "zee": "z", "why": "y", "alfa": "a", "juliett": "j"} | {
    word: word[0] for word in NATO if word != "x-ray"
}
SEPARATORS = ("dash", "hyphen", "space", "then", "capital")
FEWEST, MOST = 2, 30  # letters


def spelled(words: list[str], start: int) -> list[tuple[str, int]]:
    """What is spelled from a word on, in capitals, with where it ends: all of it, if it has FEWEST to MOST letters (or
    digits, but not digits alone) and none stands before it."""
    if start and _letter(words, start - 1)[0]:
        return []
    text, at = "", start
    while at < len(words):
        letters, end = _letter(words, at)
        if not letters and (at == start or words[at] not in SEPARATORS):
            break
        text, at = text + letters, end
    return [(text.upper(), at)] if FEWEST <= len(text) <= MOST and not text.isdecimal() else []


def vocabulary() -> set[str]:
    """Every word that a caller spells with, but for digits."""
    return {*ALPHABET, *NAMES, *TIMES, "as", "in", "for", "like", "you"}


def _letter(words: list[str], at: int) -> tuple[str, int]:
    """The letter (or digit, or two of them) that a word stands for, and where the next one begins."""
    word = words[at]
    if word in TIMES and at + 1 < len(words):
        if word == "double" and words[at + 1] == "you":
            return "w", at + 2
        letter, end = _letter(words, at + 1)
        return letter * TIMES[word] if len(letter) == 1 else "", end if letter else at + 1
    letter = word if word in ALPHABET else NAMES.get(word, "")
    if not letter:
        return digit_of(word), at + 1
    end = at + 1
    for link in (("as", "in"), ("like", "in"), ("for",), ("like",)):  # "b as in boat"
        if tuple(words[end : end + len(link)]) == link and words[end + len(link) : end + len(link) + 1]:
            example = words[end + len(link)]
            if example.startswith(letter) and len(example) > 1:
                return letter, end + len(link) + 1
    return letter, end
