"""How the keys that an agent presses are written: 0-9 * # A-D, with waits among them."""

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

WAITS_MS = {"w": 500, "W": 1000}
PRESS_MS, GAP_MS = 100, 60  # of a key as a tone, and of the silence after it
MOST = 32  # characters, waits included
ALLOWED = "0-9 * # A-D are keys, w waits half a second and W a whole one"

_WRONG = re.compile(r"[^0-9*#A-DwW]")


def checked(keys: str) -> str:
    """The same. ValueError shows no more than what is wrong, since a PIN may be among the rest."""
    if wrong := _WRONG.search(keys):
        raise ValueError(f"{wrong[0]!r} is no key: {ALLOWED}")
    if not 1 <= len(keys) <= MOST:
        raise ValueError(f"1 to {MOST} keys and waits are pressed at once, not {len(keys)}")
    return keys


def duration_ms(keys: str) -> int:
    """How long they take as tones."""
    return sum(WAITS_MS.get(key, PRESS_MS + GAP_MS) for key in keys)


_SCHEMA = {"type": "string", "pattern": rf"^[0-9*#A-DwW]{{1,{MOST}}}$"}
Keys = Annotated[str, AfterValidator(checked), WithJsonSchema(_SCHEMA)]
