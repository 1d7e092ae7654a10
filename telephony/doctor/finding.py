"""One finding of the doctor, and all findings as text for people or JSON for programs."""

from collections.abc import Sequence
from typing import Literal

import msgspec

Level = Literal["ok", "warning", "problem"]
Area = Literal["http and twilio", "sip", "sip audio", "engine", "files", "records", "hooks", "console"]


class Finding(msgspec.Struct, frozen=True):
    """`warning`: calls come in, but not all or not as they should; `problem`: the server does not start, or none come
    in."""

    level: Level
    area: Area
    text: str
    advice: str = ""


def as_text(findings: Sequence[Finding]) -> str:
    """A line for each, by area, with advice below it; the last line counts them."""
    lines: list[str] = []
    area = ""
    for finding in findings:
        if finding.area != area:
            lines += ["", finding.area] if lines else [finding.area]
            area = finding.area
        lines.append(f"  {finding.level:8} {finding.text}")
        if finding.advice:
            lines.append(f"           → {finding.advice}")
    problems, warnings = (sum(f.level == level for f in findings) for level in ("problem", "warning"))
    return "\n".join([*lines, "", f"problems: {problems}, warnings: {warnings}"])


def as_json(findings: Sequence[Finding]) -> str:
    """The same as one JSON object."""
    ok = not any(finding.level == "problem" for finding in findings)
    return msgspec.json.format(msgspec.json.encode({"ok": ok, "findings": findings}), indent=2).decode()
