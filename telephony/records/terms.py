"""The words by which a call is found: of its transcript, numbers, names and end."""

import re
from collections.abc import Iterator
from hashlib import blake2b

from telephony.records.call_record import CallRecord

MAX_CHARS = 64  # of a word; longer ones are found by their beginning
MAX_TERMS = 2000  # of one call
NUMBER_ENDS = (3, 4, 7)  # a number is also found by its last digits

_WORD = re.compile(r"\w+")
_SEPARATORS = re.compile(r"[\s().-]+")
_DIGITS = re.compile(r"\d+")


def words(text: str) -> list[str]:
    """The words of a text or a query, as they are compared: without case, at most 64 characters each."""
    return [word[:MAX_CHARS] for word in _WORD.findall(text.casefold())]


def terms(record: CallRecord) -> list[str]:
    """The words of a call, each once, in a fixed order."""
    return sorted(dict.fromkeys(_terms(record)))[:MAX_TERMS]


def key(term: str) -> int:
    """As it stands in the index: 64 bits of a hash, so that the index is small, and has no words in it."""
    return int.from_bytes(blake2b(term.encode(), digest_size=8).digest(), "big", signed=True)


def _terms(record: CallRecord) -> Iterator[str]:
    for number in (record.caller, record.called, record.forwarded_from, record.transfer):
        yield from words(number)
        user = _SEPARATORS.sub("", number.partition("@")[0])
        for digits in _DIGITS.findall(user):
            yield from (digits[-count:] for count in NUMBER_ENDS if len(digits) >= count)
    for text in (record.caller_name, record.agent, record.line, record.trunk, record.reason, record.outcome):
        yield from words(text)
    yield from words(record.call)
    yield from words(record.carrier_id)
    for tool in record.tools:
        yield from words(tool.name)
        yield from words(" ".join(f"{key} {value}" for key, value in tool.arguments.items()))
    for turn in record.transcript:
        yield from words(turn.text)
