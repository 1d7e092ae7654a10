"""`voxline report`: makes a page of one call, or of a folder of them."""

import argparse
from pathlib import Path

from telephony.cli.options import Commands


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "report",
        help="make a page of one call, or pages of a folder",
        description="Make an HTML page of a tape, or of each tape in a folder, with an index that lists calls with "
        "problems first (exit status 1: a tape cannot be read).",
    )
    parser.add_argument("tape", type=Path, metavar="TAPE", help="a tape, or a folder of them")
    parser.add_argument(
        "-o", "--out", type=Path, help="where to write it: a file, or a folder (default: beside the tape)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the page or pages and say where they are; 1 if a tape of a folder cannot be read."""
    from telephony.report import INDEX, page_name, write_report, write_reports
    from telephony.tapes.replay import find_tapes

    if options.tape.is_dir():
        folder = options.out or options.tape
        entries = write_reports(find_tapes([options.tape]), folder)
        troubled = sum(bool(entry.problems) for entry in entries)
        print(f"{len(entries)} calls, {troubled} of them with problems; written to {folder / INDEX}")
        return 1 if any(entry.error for entry in entries) else 0
    out = options.out or options.tape.with_name(page_name(options.tape))
    write_report(options.tape, out)
    print(f"written to {out}")
    return 0
