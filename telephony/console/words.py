"""How values are written on pages."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from telephony.records import call_id
from telephony.records.text import json_text

NOTHING = "–"
KINDS = {"broken_off": "broken off", "failed": "failed reply", "slow": "slow turn", "lost": "lost audio"}


def when(at_ms: int | None) -> str:
    """Unix time in ms as UTC, to the second."""
    return NOTHING if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def iso(at_ms: int) -> str:
    """The same for programs."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def duration(ms: float | None) -> str:
    """Such as 1:05; of less than a minute, 5.2 s."""
    if ms is None:
        return NOTHING
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes}:{seconds:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def millis(ms: float | None) -> str:
    """Such as 640 ms; from ten seconds on, 12.3 s."""
    if ms is None:
        return NOTHING
    return f"{ms:.0f} ms" if ms < 10_000 else f"{ms / 1000:.1f} s"


def percent(share: float) -> str:
    """A share of 1."""
    return f"{100 * share:.1f} %" if share else "0 %"


def number(value: int | None) -> str:
    """With a thin space between thousands."""
    return NOTHING if value is None else f"{value:,}".replace(",", "\u202f")


def plain(value: Any) -> str:
    """A value of a setting, or of what a tool was given."""
    return value if isinstance(value, str) else json_text(value)


FILTERS: dict[str, Callable[..., Any]] = {
    "when": when,
    "iso": iso,
    "duration": duration,
    "millis": millis,
    "percent": percent,
    "number": number,
    "plain": plain,
    "call_id": call_id.show,
    "kind": lambda name: KINDS[name],
}
