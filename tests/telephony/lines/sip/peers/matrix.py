"""The SIP peers and what is tested with each: collected while their tests run, and written to docs/sip-peers.md.

A test names its peer and feature: `@pytest.mark.peer("linphone", "hold of 30 s")`. Loaded by pytest as a plugin.
"""

import subprocess
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.telephony.lines.sip.clients import pjsua

ROOT = Path(__file__).parents[5]
PAGE = ROOT / "docs" / "sip-peers.md"
SPEECH, EVENTS, INFO, HOLD = "speech both ways", "keys by RFC 4733", "keys by INFO", "hold of 30 s"
SECURE, COLD, ATTENDED, CALLED = "TLS and SRTP", "cold transfer", "attended transfer", "called by us"
FOUND, HIDDEN = "finds an open server", "finds no server with passwords"
NAMES, PASSWORDS = "cannot guess user names", "cannot guess passwords"
PASSED, CANNOT = "✓", "–"

Cell = tuple[str, str]  # a peer and a feature


class Table(msgspec.Struct, frozen=True):
    """One table of the page: its title, the features, and the peers with their Debian packages."""

    title: str
    features: tuple[str, ...]
    peers: dict[str, str]


TABLES = (
    Table(
        "Telephones, a proxy and a relay",
        (SPEECH, EVENTS, INFO, HOLD, SECURE, COLD, ATTENDED, CALLED),
        {
            "linphone": "linphone-cli",
            "pjsua2": "",
            "twinkle": "twinkle-console",
            "baresip": "baresip-core",
            "rtpengine": "rtpengine-daemon",
            "Kamailio": "kamailio",
            "sipp": "sip-tester",
        },
    ),
    Table("A scanner", (FOUND, HIDDEN, NAMES, PASSWORDS), {"sipvicious": "sipvicious"}),
)
_SCRIPT = "sipp only plays our script: this would test the script"
_NO_TLS = "Debian's package has no TLS"
REASONS: dict[Cell, str] = {
    ("baresip", INFO): "version 1.0 sends none",
    ("baresip", ATTENDED): "version 1.0 does not know Replaces",
    ("twinkle", SECURE): "it has no TLS, and SRTP only with ZRTP",
    ("rtpengine", SECURE): "the Kamailio in front of it is set up for UDP and TCP",
    ("Kamailio", EVENTS): "audio does not pass through a proxy",
    ("Kamailio", INFO): "tested behind rtpengine",
    ("Kamailio", HOLD): "tested behind rtpengine",
    ("Kamailio", SECURE): "its TLS is a separate package",
    ("Kamailio", ATTENDED): "tested behind rtpengine",
    ("sipp", INFO): _SCRIPT,
    ("sipp", HOLD): _SCRIPT,
    ("sipp", SECURE): _NO_TLS,
    ("sipp", COLD): "tested through Kamailio",
    ("sipp", ATTENDED): _SCRIPT,
}


# The tests


def tried() -> set[Cell]:
    """The cells that have tests."""
    files = sorted((ROOT / "tests" / "telephony" / "lines" / "sip").rglob("test_*.py"))
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files if ".peer(" in file.read_text()]
    return {cell for name in names for test in vars(import_module(name)).values() for cell in _cells(_marks(test))}


def _marks(test: Any) -> Iterator[pytest.Mark]:
    marks = getattr(test, "pytestmark", None)
    if callable(test) and isinstance(marks, list):
        yield from (mark for mark in marks if mark.name == "peer")


def _cells(marks: Iterable[pytest.Mark]) -> Iterator[Cell]:
    for mark in marks:
        name, *features = mark.args
        yield from ((name, feature) for feature in features)


# The page


def page(results: dict[Cell, str]) -> str:
    """The page for these results."""
    reasons: list[str] = []
    lines = [
        "# Tested SIP peers",
        "",
        "Real programs call voxline, and are called by it, over real sockets on one machine. `make sip-peers` runs",
        "these tests and writes this page. ✓ all tests passed; ✗ one failed; – not tested, and why.",
    ]
    for table in TABLES:
        lines += ["", f"## {table.title}", "", _row("peer", "version", *table.features)]
        lines.append("|" + "---|" * (len(table.features) + 2))
        for peer, package in table.peers.items():
            cells = [_cell((peer, feature), results, reasons) for feature in table.features]
            lines.append(_row(peer, _version(package), *cells))
    lines += ["", *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1)), ""]
    return "\n".join(lines)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(cell: Cell, results: dict[Cell, str], reasons: list[str]) -> str:
    if reason := REASONS.get(cell):
        if reason not in reasons:
            reasons.append(reason)
        return f"{CANNOT} ({reasons.index(reason) + 1})"
    return results.get(cell, "not run")


def _version(package: str) -> str:
    """The version of a Debian package, or of pjsua2."""
    command = ["dpkg-query", "-W", "-f=${Version}", package]
    if not package:
        command = [str(pjsua.PYTHON), "-c", f"import importlib.metadata as m; print(m.version({pjsua.PACKAGE!r}))"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "?"


def cells_of(text: str) -> dict[Cell, str]:
    """The contents of a page by cell, without the numbers of reasons."""
    found: dict[Cell, str] = {}
    features: list[str] = []
    for line in text.splitlines():
        first, *rest = [part.strip() for part in line.strip("|").split("|")] if line.startswith("|") else [""]
        if first == "peer":
            features = rest[1:]
        elif first and not first.startswith("-"):
            found |= {(first, feature): cell.split()[0] for feature, cell in zip(features, rest[1:], strict=True)}
    return found


# The plugin


class Gatherer:
    """Collects the results of the tests, and writes the page at the end."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._results: dict[Cell, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """See pytest. For tests that are rerun, the last run counts."""
        if report.outcome == "passed" and report.when != "call":
            return
        for name, value in report.user_properties:
            if name != "peer" or report.outcome not in ("passed", "failed", "skipped"):
                continue
            for feature in value[1:]:
                self._add((value[0], feature), {"passed": PASSED, "failed": "✗", "skipped": "skipped"}[report.outcome])

    def _add(self, cell: Cell, result: str) -> None:
        """A test that did not pass decides the cell."""
        if self._results.get(cell, PASSED) == PASSED:
            self._results[cell] = result

    def pytest_sessionfinish(self) -> None:
        """See pytest."""
        self._file.parent.mkdir(exist_ok=True)
        self._file.write_text(page(self._results), encoding="utf-8")


def pytest_addoption(parser: pytest.Parser) -> None:
    """See pytest."""
    parser.addoption("--peers-page", type=Path, help="write the table of tested SIP peers to this file")


def pytest_configure(config: pytest.Config) -> None:
    """See pytest. Workers of xdist only run tests."""
    file = config.getoption("peers_page")
    if file and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Gatherer(file))


def pytest_itemcollected(item: pytest.Item) -> None:
    """See pytest. The peer and feature go with the reports, also from a worker."""
    item.user_properties += [("peer", list(mark.args)) for mark in item.iter_markers("peer")]
