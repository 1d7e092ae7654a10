"""What hooks answer, read strictly: a mistake is named, and nothing of the answer is used. Sans-I/O."""

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from config.agent import MAX_VARIABLE, MAX_VARIABLES
from config.parties import is_plain
from telephony.lines.screening import Refused, Verdict

MAX_AGENT = 100  # characters of a name
MAX_MICROS = 2**53 - 1

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class AnswerError(ValueError):
    """The answer is none that is asked for; the message says why, without any of its values."""


class _Before(msgspec.Struct, forbid_unknown_fields=True):
    agent: Annotated[str, Meta(max_length=MAX_AGENT)] = ""
    variables: Annotated[dict[str, str], Meta(max_length=MAX_VARIABLES)] = {}
    refuse: Refused | None = None


class _Costs(msgspec.Struct):
    cost_micros: Annotated[int, Meta(ge=-MAX_MICROS, le=MAX_MICROS)] | None = None
    cost_currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")] | None = None


def verdict(body: bytes) -> Verdict:
    """The answer to before_call; an empty one changes nothing. Raises AnswerError."""
    if not body.strip():
        return Verdict()
    answer = _decoded(body, _Before)
    for name, value in answer.variables.items():
        if not _NAME.fullmatch(name):
            raise AnswerError("variables: a name is small letters, digits and _, such as first_name")
        if value and not is_plain(value, MAX_VARIABLE):
            raise AnswerError(f"variables.{name}: a text of up to {MAX_VARIABLE} characters is wanted, on one line")
    return Verdict(answer.agent, answer.variables, answer.refuse)


def costs(body: bytes) -> dict[str, Any]:
    """The fields of a call that the answer to after_call fills in. One that is no JSON object has none. Raises
    AnswerError."""
    if not body.strip().startswith(b"{"):
        return {}
    answer = _decoded(body, _Costs)
    if (answer.cost_micros is None) != (answer.cost_currency is None):
        raise AnswerError("cost_micros and cost_currency belong together")
    if answer.cost_micros is None:
        return {}
    return {"cost_micros": answer.cost_micros, "cost_currency": answer.cost_currency}


def _decoded(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise AnswerError(f"the answer is not what is wanted: {error}") from None
