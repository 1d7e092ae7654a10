"""Text that strangers wrote, made safe to store and to show.

Callers choose their words, display names and SIP headers. A database refuses NULs and lone surrogates, terminals obey
control characters, and spreadsheets run cells that look like formulas.
"""

import json
import re
from typing import Any

from config.logging import printable

MAX_CHARS = 4000  # of one text
MAX_ITEMS = 200  # of one list or object, as tools have them
MAX_DEPTH = 8
REPLACEMENT = "\ufffd"

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20"  # their full-width forms start formulas too


def clean(text: str) -> str:
    """Text that every database can hold: no NUL, no lone surrogate, bounded."""
    return _UNSTORABLE.sub(REPLACEMENT, text[:MAX_CHARS])


def clean_json(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Plain data with every text in it clean, and no more of it than is bounded."""
    match value:
        case str():
            return clean(value)
        case None | bool() | int() | float():
            return value if value == value and abs(value or 0) < 2**63 else None  # noqa: PLR0124 (not a number)
        case _ if depth == 0:
            return None
        case dict():
            return {clean(str(key)): clean_json(item, depth - 1) for key, item in list(value.items())[:MAX_ITEMS]}
        case list() | tuple():
            return [clean_json(item, depth - 1) for item in value[:MAX_ITEMS]]
        case _:
            return clean(str(value))


def cell(value: object) -> str:
    """A cell of a CSV file: one line of printable text that no spreadsheet runs."""
    text = printable("" if value is None else str(value))
    return f"'{text}" if text.lstrip()[:1] in _FORMULA and text.strip() else text


def json_text(value: Any) -> str:
    """JSON in which every character that is not printable is escaped, so that it may be shown on a terminal."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if text.isprintable() else "".join(sign if sign.isprintable() else _escaped(sign) for sign in text)


def _escaped(sign: str) -> str:
    """As JSON has it: two escapes beyond the basic plane."""
    return json.dumps(sign)[1:-1]
