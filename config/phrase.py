"""The phrase syntax of an agent's YAML: what a caller may say, in one readable line.

    what time do you (open | close) [today]     either word; `today` may be left out
    book me [in] on {day} [at {time}]           a slot stands for any of its values

Words are letters and apostrophes; numbers are written out, as they are spoken.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from pydantic import PlainValidator

_TOKEN = re.compile(r"\s*(?:(?P<word>[a-z][a-z']*)|\{(?P<slot>[a-z_]+)\}|(?P<mark>[][()|]))", re.IGNORECASE)
_CLOSING = {"[": "]", "(": ")"}


class Word(msgspec.Struct, frozen=True):
    """One spoken word, in lower case."""

    text: str


class Slot(msgspec.Struct, frozen=True):
    """Any value of the named slot."""

    name: str


class Choice(msgspec.Struct, frozen=True):
    """One of several sequences, or nothing at all where it is optional. A whole phrase is a choice too."""

    options: tuple[tuple["Word | Slot | Choice", ...], ...]
    optional: bool = False

    def parts(self) -> Iterator[Word | Slot]:
        """Every word and slot in it, however deep."""
        for option in self.options:
            for node in option:
                if isinstance(node, Choice):
                    yield from node.parts()
                else:
                    yield node

    def can_be_empty(self) -> bool:
        """Whether saying nothing would match."""
        return self.optional or any(
            all(isinstance(node, Choice) and node.can_be_empty() for node in option) for option in self.options
        )


def parse_phrase(text: Any) -> Choice:
    """Read one phrase; ValueError tells what is wrong and where."""
    if isinstance(text, Choice):
        return text
    if not isinstance(text, str):
        raise ValueError(f"a phrase is text, not {text!r}")
    return _parse(text)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Choice:
    phrase, rest = _options(_tokens(text), "")
    assert not rest
    if phrase.can_be_empty():
        raise ValueError(f"the phrase {text!r} would match silence")
    return phrase


Phrase = Annotated[Choice, PlainValidator(parse_phrase, json_schema_input_type=str)]


def _tokens(text: str) -> list[Word | Slot | str]:
    tokens: list[Word | Slot | str] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(
                f"{text[at:].strip()!r} in the phrase {text!r} is none of: a word in letters, [optional], "
                "(one | other), {slot}"
            )
        at = found.end()
        if found["word"]:
            tokens.append(Word(found["word"].lower()))
        elif found["slot"]:
            tokens.append(Slot(found["slot"]))
        else:
            tokens.append(found["mark"])
    return tokens


def _options(tokens: list[Word | Slot | str], closing: str) -> tuple[Choice, list[Word | Slot | str]]:
    """Read alternatives up to the closing mark ("" is the end); what is left of the tokens comes back too."""
    options: list[tuple[Word | Slot | Choice, ...]] = []
    option: list[Word | Slot | Choice] = []
    while tokens:
        token, tokens = tokens[0], tokens[1:]
        if isinstance(token, (Word, Slot)):
            option.append(token)
        elif token in _CLOSING:
            inner, tokens = _options(tokens, _CLOSING[token])
            option.append(inner)
        elif token == "|":  # noqa: S105
            options.append(tuple(option))
            option = []
        elif token == closing:
            return Choice((*options, tuple(option)), optional=closing == "]"), tokens
        else:
            raise ValueError(f"{token!r} without its opening mark")
    if closing:
        raise ValueError(f"{closing!r} is missing")
    return Choice((*options, tuple(option))), tokens
