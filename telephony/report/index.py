"""The page about a folder of tapes: a row for each call, those with problems first, each with a link to its page."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import quote

import msgspec

from config.exceptions import TapeError
from telephony.report import bundle
from telephony.report.page import CallReport, hash_of, write, write_report

INDEX = "index.html"
COLUMNS = ("Length", "Turns", "Median gap", "Longest gap", "Cut off", "Barge-ins")  # of the figures of a call


class IndexEntry(msgspec.Struct, frozen=True):
    """A tape: its page and what that says, or why there is none."""

    tape: str
    page: str = ""
    report: CallReport | None = None
    error: str = ""

    @property
    def problems(self) -> list[str]:
        """All that is worth a look."""
        return [self.error] if self.report is None else self.report.problems


def write_reports(tapes: Iterable[Path], folder: Path) -> list[IndexEntry]:
    """Write a page about each tape into the folder, and the index of them. A tape that cannot be read is a row of it.
    Raises TapeError where the index cannot be written."""
    entries: list[IndexEntry] = []
    for tape in tapes:
        name = page_name(tape)
        if any(entry.page == name for entry in entries):  # the same call, compressed and not
            name = f"{tape.name}.html"
        try:
            entries.append(IndexEntry(tape.name, name, write_report(tape, folder / name)))
        except TapeError as error:
            entries.append(IndexEntry(tape.name, error=str(error)))
    write(folder / INDEX, render_index(folder.resolve().name, entries))
    return entries


def page_name(tape: Path) -> str:
    """The file name of the page about a tape."""
    return tape.name.removesuffix(".gz").removesuffix(".jsonl") + ".html"


def render_index(title: str, entries: list[IndexEntry]) -> str:
    """The index as text."""
    newest = sorted(entries, key=lambda entry: entry.report.header.started if entry.report else "", reverse=True)
    ordered = sorted(newest, key=lambda entry: -len(entry.problems))
    style = bundle.style()
    troubled = sum(bool(entry.problems) for entry in entries)
    return Template(bundle.read("index.html")).substitute(
        title=escape(title),
        count=f"{len(entries)} calls, {troubled} of them with problems",
        style=style,
        style_hash=hash_of(style),
        columns="".join(f'<th scope="col">{column}</th>' for column in COLUMNS),
        rows="\n".join(map(_row, ordered)),
    )


def _row(entry: IndexEntry) -> str:
    report = entry.report
    problems = "".join(f'<span class="tag failed">{escape(problem)}</span> ' for problem in entry.problems)
    if report is None:
        return f'<tr><td class="call">{escape(entry.tape)}</td><td colspan="8">{problems}</td></tr>'
    values = {figure.label: figure.value for figure in report.figures}
    cells = [
        f'<td class="call"><a href="{quote(entry.page)}">{escape(report.header.call or entry.tape)}</a></td>',
        f'<td class="problems">{problems}</td>',
        _cell("began", report.header.started[:19].replace("T", " ")),
        _cell("agent", report.header.agent),
        *(_cell(column.lower(), values[column]) for column in COLUMNS),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _cell(name: str, text: str) -> str:
    return f'<td data-name="{name}">{escape(text)}</td>'
