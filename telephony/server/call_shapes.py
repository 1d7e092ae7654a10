"""Calls on record as the API shows them, as types: for the OpenAPI document. They are made from the record's own."""

from types import GenericAlias
from typing import Annotated, Any, get_type_hints

import msgspec

from telephony.records.call_filter import MAX_CHARS, MAX_PAGE
from telephony.records.call_record import CallRecord, ToolRun, Turn
from telephony.records.export import HIDDEN, TIMES

Text = Annotated[str, msgspec.Meta(max_length=MAX_CHARS, description="Calls with this value.")]
When = Annotated[str, msgspec.Meta(description="A date or time, ISO 8601; UTC unless it names a zone.")]
Least = Annotated[int, msgspec.Meta(ge=0, description="At least this.")]


class ShownAct(msgspec.Struct):
    """What an operator has done with a call."""

    at: str  # ISO 8601
    who: str
    act: str
    details: dict[str, Any]


class CallsQuery(msgspec.Struct):
    """The parameters of a search."""

    q: Annotated[str, msgspec.Meta(max_length=MAX_CHARS, description="Words that all stand in the call.")] = ""
    agent: Text = ""
    line: Text = ""
    trunk: Text = ""
    direction: Text = ""
    status: Text = ""
    outcome: Text = ""
    ended_by: Text = ""
    caller: Text = ""
    called: Text = ""
    call: Text = ""
    since: When = ""
    until: When = ""
    min_latency_ms: Least = 0
    min_barge_ins: Least = 0
    before: Annotated[str, msgspec.Meta(description="The last answer's `next`.")] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE, description="Calls a page.")] = 50


class ExportQuery(CallsQuery):
    """The parameters of an export."""

    format: Annotated[str, msgspec.Meta(pattern="^(csv|json)?$", description="csv or json.")] = "json"


class Deleted(msgspec.Struct):
    """How many calls were deleted."""

    deleted: int


def _call() -> type[msgspec.Struct]:
    hints = get_type_hints(CallRecord, include_extras=True)
    left_out = (*HIDDEN, "transcript", "tools", "fields", "acts")
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = [
        (name, str if name == "id" else str | None if name in TIMES else kind)
        for name, kind in hints.items()
        if name not in left_out
    ]
    fields += [("cost_micros", int | None), ("cost_currency", str | None)]
    for name, kind in (("transcript", Turn), ("tools", ToolRun), ("acts", ShownAct)):
        fields.append((name, GenericAlias(list, (kind,)), []))
    return msgspec.defstruct("Call", fields, module=__name__, namespace={"__doc__": "A call on record."})


Call = _call()
CallList: Any = GenericAlias(list, (Call,))
CallsPage = msgspec.defstruct(
    "CallsPage",
    [("calls", CallList), ("next", str | None)],
    module=__name__,
    namespace={"__doc__": "The calls that meet a filter, the latest first; `next` is null on the last page."},
)
