"""Whether what was said can end where it ends, as far as any text tells. Pure functions."""

import re

# Nobody who has said one of these last is done.
LEADS_ON = frozenset(
    """a an the my your his her our their and or but because if
    to of from with on at in for by about into between i i'm we they um uh er""".split()
)


def leads_on(text: str) -> bool:
    """Whether more must follow: its last word says so, or the recognizer, which hears the melody too, wrote a comma."""
    text = text.strip()
    if text.endswith("?"):
        return False  # "What is that for?"
    words = re.findall(r"[a-z']+", text.lower())
    return text.endswith(",") or (bool(words) and words[-1] in LEADS_ON)
