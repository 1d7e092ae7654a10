"""One finding about an agent's dialogue."""

from typing import Literal

import msgspec

Level = Literal["warning", "problem"]


class Finding(msgspec.Struct, frozen=True):
    """`problem`: callers cannot get on, or are misunderstood; `warning`: something that does nothing, or is likely
    wrong."""

    level: Level
    key: str  # where in the agent's file, such as dialogue.intents.book.ask
    text: str
    advice: str
