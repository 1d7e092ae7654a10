"""Contractions as the words they stand for, in what callers say and in phrases alike. Pure functions."""

from functools import lru_cache

from config.phrase import Choice, Slot, Word

EXPANDED = {
    **{f"{word}'m": f"{word} am" for word in ("i",)},
    **{f"{word}'re": f"{word} are" for word in "you we they what where".split()},
    **{f"{word}'s": f"{word} is" for word in "it that there what where who when how he she here".split()},
    **{f"{word}'d": f"{word} would" for word in "i you we they he she it that".split()},
    **{f"{word}'ve": f"{word} have" for word in "i you we they".split()},
    **{f"{word}'ll": f"{word} will" for word in "i you we they he she it that".split()},
    **{f"{word}n't": f"{word} not" for word in "do does did is are was were have has would could should".split()},
    "can't": "can not",
    "cannot": "can not",
    "won't": "will not",
    "let's": "let us",
    "gonna": "going to",
    "wanna": "want to",
    "gotta": "got to",
}


def expanded(word: str) -> list[str]:
    """A word as the words it stands for: itself, if it is no contraction."""
    return EXPANDED.get(word, word).split(" ")


@lru_cache(maxsize=4096)
def written_out(phrase: Choice) -> Choice:
    """A phrase without contractions."""
    return Choice(
        tuple(tuple(new for node in option for new in _nodes(node)) for option in phrase.options), phrase.optional
    )


def _nodes(node: Word | Slot | Choice) -> list[Word | Slot | Choice]:
    match node:
        case Word():
            return [Word(word) for word in expanded(node.text)]
        case Choice():
            return [written_out(node)]
        case _:
            return [node]
