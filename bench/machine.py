"""The machine that a figure was measured on, and the files that keep figures."""

import json
import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """The machine in a few words."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*:\s*(.*)", info)
    return {
        "cpu": model[1] if model else platform.processor(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
    }


def keep(name: str, results: dict[str, Any], folder: Path | None = None) -> Path:
    """Write results with date and machine to NAME-DATE.json in bench/results or another folder; returns the file."""
    now = datetime.now(UTC)
    folder = folder or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{now:%Y-%m-%d}.json"
    path.write_text(
        json.dumps({"date": now.isoformat(timespec="seconds"), "machine": machine(), **results}, indent=2) + "\n"
    )
    return path


def table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Print a table, numbers aligned right."""
    cells = [[f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[index]) for row in [columns, *cells]) for index in range(len(columns))]
    print(f"\n{title}")
    for row in [columns, *cells]:
        print(
            "  "
            + "  ".join(
                cell.rjust(width) if index else cell.ljust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )
