"""What a transcript means where a recognizer does not say it itself. A pure function."""

import re

from agent.engine.base import Meaning

BACKCHANNELS = frozenset(
    "uh-huh uhuh uhhuh mm-hmm mhm mmhm mm hm hmm hmmm mmm uh um ah oh aha okay ok right yeah yep sure alright "
    "really wow interesting see".split()
)
PAIRS = {"uh huh": "uh-huh", "mm hmm": "mm-hmm", "mm hm": "mm-hmm", "i see": "see", "all right": "alright"}


def meaning_of(text: str) -> Meaning:
    """What it means while the agent is talking: nothing, a backchannel, or a turn of any other words."""
    plain = " ".join(re.findall(r"[^\W_]+(?:['-][^\W_]+)*", text.lower()))
    for pair, one in PAIRS.items():
        plain = plain.replace(pair, one)
    words = plain.split()
    if not words:
        return Meaning.NOTHING
    return Meaning.BACKCHANNEL if all(word in BACKCHANNELS for word in words) else Meaning.TURN
