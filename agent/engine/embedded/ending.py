"""Whether what was said can end where it ends, as far as any text tells. Pure functions."""

import re

# A caller whose last word is one of these is not done.
LEADS_ON = frozenset("the an my your his her our their and or but because if of to i'm um uh er".split())
# These end sentences too ("Hold on."), and letters are spelled: only where the recognizer heard no full stop.
MAY_LEAD_ON = frozenset("a i we they from with on at in for by about into between".split())


def leads_on(text: str) -> bool:
    """Whether more must follow: its last word says so, or the recognizer, which hears the melody too, wrote a comma."""
    text = text.strip()
    words = re.findall(r"[a-z']+", text.lower())
    if not words or text.endswith("?"):
        return False  # "What is that for?"
    if len(words) > 1 and len(words[-1]) == len(words[-2]) == 1:
        return False  # somebody spells
    if text.endswith(","):
        return True
    return words[-1] in LEADS_ON or (words[-1] in MAY_LEAD_ON and not text.endswith((".", "!")))
