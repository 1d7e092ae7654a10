"""Telephone keys in text that is to be spoken: * and # become the names people know. Pure functions."""

import re

STAR_AND_POUND = {
    "de": ("Stern", "Raute"),
    "en": ("star", "pound"),
    "en-gb": ("star", "hash"),
    "es": ("asterisco", "almohadilla"),
    "fr": ("étoile", "dièse"),
    "hi": ("स्टार", "हैश"),
    "it": ("asterisco", "cancelletto"),
    "nl": ("sterretje", "hekje"),
    "pt": ("asterisco", "jogo da velha"),
}
# *67 and #21# are dialled; #1042 is a number of something, and rows of signs alone are a text's decoration.
_DIALLED = re.compile(r"[*#]|(?=.*\d)(?!#\d+$)(?=.*[*#])[\d*#]+")
_AROUND = re.compile(r"([\"'“”‘’(\[]*)(.*?)([\"'“”‘’)\],;:!?.…]*)", re.DOTALL)


def spell_keys(words: list[str], language: str) -> list[str]:
    """For each word what is said in its place: itself, or the keys that it names, one by one. A sign that stands first
    is a text's bullet. In a language whose names are not known nothing changes."""
    names = STAR_AND_POUND.get(language.lower()) or STAR_AND_POUND.get(language.partition("-")[0].lower())
    if names is None:
        return words
    return [_spell(word, names) if index or len(word) > 1 else word for index, word in enumerate(words)]


def _spell(word: str, names: tuple[str, str]) -> str:
    if "*" not in word and "#" not in word:
        return word
    match = _AROUND.fullmatch(word)
    if match is None or not _DIALLED.fullmatch(match[2]):
        return word
    said = " ".join({"*": names[0], "#": names[1]}.get(key, key) for key in match[2])
    return f"{match[1]}{said}{match[3]}"
