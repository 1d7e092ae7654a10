"""How written English words are read out: times, telephone numbers, addresses, abbreviations. Pure functions.

misaki's lexicon knows words, numbers and money; whatever it would misread on a phone is written out here first. Each
word is replaced by itself or by several, so that what is spoken keeps its place among the words that were written.
"""

import re

_TIME = re.compile(r"(\d{1,2}):(\d\d)")
_RANGE = re.compile(r"([$£€]?\d+(?:[.,:]\d+)*)[-–]([$£€]?\d+(?:[.,:]\d+)*)")
_ADDRESS = re.compile(
    r"\S+@\S+|(?:https?://|www\.)\S+|[\w.-]+\.(?:com|org|net|edu|gov|info|io|co|eu|uk|us|in|es|fr|it|br|de)(?:/\S*)?"
)
_TELEPHONE = re.compile(r"\+?(?:\d{1,3}[-.])?(?:\(?\d{3}\)?[-.])?\d{3}[-.]\d{4}")
_NOON = re.compile(r"[ap]\.?m\b", re.IGNORECASE)
_AROUND = "\"'“”‘’()[],;:!?…"
MIN_LISTED = 7  # digits in a row that identify something, and are read one by one

SIGNS = {".": "dot", "@": "at", "/": "slash", "-": "dash", "_": "underscore", ":": "colon"}  # within addresses
ABBREVIATIONS = {
    "approx.": "approximately",
    "apt.": "apartment",
    "ave.": "Avenue",
    "blvd.": "Boulevard",
    "dept.": "department",
    "e.g.": "for example",
    "etc.": "et cetera",
    "ext.": "extension",
    "i.e.": "that is",
    "rd.": "Road",
    "vs.": "versus",
}
BEFORE_NUMBERS = {
    "no.": "number",
    "jan.": "January",
    "feb.": "February",
    "mar.": "March",
    "apr.": "April",
    "jun.": "June",
    "jul.": "July",
    "aug.": "August",
    "sep.": "September",
    "sept.": "September",
    "oct.": "October",
    "nov.": "November",
    "dec.": "December",
}


def read_out(words: list[str]) -> list[str]:
    """What is said in place of each word: one string per word, each of one or more words."""
    following = [*words, ""][1:]
    return [_read(word, after) for word, after in zip(words, following, strict=True)]


def _read(word: str, following: str) -> str:
    marks = word[len(word.rstrip(_AROUND)) :]
    if long := _abbreviation(word.strip(_AROUND), "" if marks else following):
        return long + (marks or ("" if following else "."))
    core = word.strip(_AROUND).removesuffix(".").rstrip(_AROUND)
    start = word.index(core)
    before, after = word[:start], word[start + len(core) :]
    if _ADDRESS.fullmatch(core):
        return before + _address(core) + after
    if any(character.isdigit() for character in core):
        return before + _number(core, before, following) + after
    return word


def _abbreviation(word: str, following: str) -> str | None:
    lower = word.lower()
    if lower == "st.":
        return "Saint" if following[:1].isupper() else "Street"
    if lower in BEFORE_NUMBERS and following[:1].isdigit():
        return BEFORE_NUMBERS[lower]
    return ABBREVIATIONS.get(lower)


def _address(address: str) -> str:
    plain = re.sub(r"^https?://", "", address).rstrip("/")
    return re.sub(r"[.@/:_-]", lambda sign: f" {SIGNS[sign[0]]} ", plain)


def _number(core: str, before: str, following: str) -> str:
    if time := _TIME.fullmatch(core):
        return _time(time[1], time[2], following)
    if _TELEPHONE.fullmatch(core) or (before.endswith("(") and len(core) == 3 and _TELEPHONE.match(following)):
        return _listed(core)
    if core.removeprefix("+").isdecimal() and (len(core) >= MIN_LISTED or (core[0] in "0+" and len(core) > 1)):
        return _listed(core)
    if span := _RANGE.fullmatch(core):
        return f"{_number(span[1], '', 'to')} to {_number(span[2], '', following)}"
    return core


def _time(hours: str, minutes: str, following: str) -> str:
    if minutes == "00":
        return hours if following == "to" or _NOON.match(following) or int(hours) > 12 else f"{hours} o'clock"
    return f"{hours} {minutes}" if minutes[0] != "0" else f"{hours} oh {minutes[1]}"


def _listed(digits: str) -> str:
    """Digit by digit, with a short pause between groups."""
    groups = ", ".join(" ".join(group) for group in re.findall(r"\d+", digits))
    return f"plus {groups}" if digits.startswith("+") else groups
