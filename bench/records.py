"""How fast calls on record are stored, found and deleted: python -m bench.records --help.

Calls with transcripts of 60 words, drawn from 5,000 as words are in speech: few are common, most are rare. Each query
is asked twenty times, of a file that the system has in memory. Prints a table and writes
bench/results/records-DATE.json.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.machine import keep, table
from telephony.records.call_filter import parse
from telephony.records.call_id import first_id, show
from telephony.records.call_record import CallRecord, Turn
from telephony.records.database import FILE, Database
from telephony.records.store import Store

BATCH = 200
ROUNDS = 20
TARGET_MS = 200
VOCABULARY = 5000
MORNING_MS = 1_777_600_800_000  # 2026-05-01, 02:00 UTC
GAP_MS = 60_000  # between two calls


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill a database and ask it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000, help="how many are on record (default 100000)")
    parser.add_argument(
        "--url", default="", help="an empty PostgreSQL database (default: SQLite in a temporary folder)"
    )
    parser.add_argument("--no-words", action="store_true", help="without transcripts, as log.words: false leaves them")
    parser.add_argument("--out", type=Path, help="the folder for the results (default: bench/results)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(measure(Path(folder), options.url, options.calls, words=not options.no_words))
    columns = ["query", "rows", "median ms", "slowest ms"]
    table(
        f"{options.calls} calls", columns, [[name, *figures.values()] for name, figures in results["queries"].items()]
    )
    for name in ("stored_per_s", "megabytes", "delete_s"):
        print(f"{name}: {results[name]}")
    print("written to", keep("records", results, options.out))


async def measure(folder: Path, url: str, count: int, *, words: bool) -> dict[str, Any]:
    """All figures of one database."""
    database = Database(url, folder)
    await database.migrate()
    store, chosen = Store(database), random.Random(1)
    began = time.perf_counter()
    for start in range(0, count, BATCH):
        await store.write([made(number, chosen, words=words) for number in range(start, min(count, start + BATCH))])
    stored_s = time.perf_counter() - began
    queries = {
        name: await timed(partial(store.find, parse({"limit": "200", **query})))
        for name, query in queries_of(count).items()
    }
    day_ms, end_ms = 86_400_000, MORNING_MS + count * GAP_MS
    queries["the overview's day"] = await timed(partial(store.summary, end_ms - day_ms, end_ms))
    queries["the overview's problems"] = await timed(partial(store.problems, end_ms - day_ms, 20))
    queries["all calls summed up"] = await timed(partial(store.summary, MORNING_MS, end_ms))
    path = folder / FILE
    megabytes = round(path.stat().st_size / 1e6, 1) if path.exists() else None
    began = time.perf_counter()
    await store.delete([first_id(MORNING_MS + count // 2 * GAP_MS)])
    await store.forget()
    delete_s = round(time.perf_counter() - began, 2)
    await database.close()
    return {
        "calls": count,
        "database": "PostgreSQL" if url else "SQLite",
        "words": words,
        "stored_per_s": round(count / stored_s),
        "megabytes": megabytes,
        "delete_s": delete_s,
        "target_ms": TARGET_MS,
        "queries": queries,
    }


def made(number: int, chosen: random.Random, *, words: bool) -> CallRecord:
    """One call. One in a thousand failed, one in two hundred was slow."""
    at_ms = MORNING_MS + number * GAP_MS
    said = [f"word{min(VOCABULARY, int(chosen.paretovariate(0.6)))}" for _ in range(60 if words else 0)]
    return CallRecord(
        id=first_id(at_ms),
        seq=5,
        host="host:/var/lib/voxline",
        run="run",
        status="ended",
        call=f"CA{number:032x}",
        carrier_id=f"CA{number:032x}",
        line="twilio" if number % 3 else "sip",
        direction="outbound" if number % 5 == 0 else "inbound",
        caller=f"+1555{number % 20_000:07d}",
        called="+15550100199",
        agent=f"agent{number % 7}",
        started=at_ms,
        answered=at_ms + 200,
        ended=at_ms + 50_000,
        updated=at_ms + 50_000,
        ended_by="caller",
        reason="the caller hung up",
        outcome="failed" if number % 1000 == 7 else "hangup",
        turns=6,
        latency_max=2000 if number % 200 == 9 else 700,
        barge_ins=number % 11 == 0,
        transcript=tuple(Turn("caller", " ".join(said[at : at + 10]), 1000 * at) for at in range(0, len(said), 10)),
    )


def queries_of(count: int) -> dict[str, dict[str, str]]:
    """What is asked, by a name for it."""
    middle = first_id(MORNING_MS + count // 2 * GAP_MS)
    return {
        "the latest": {},
        "a page in the middle": {"before": show(middle)},
        "an agent's": {"agent": "agent3"},
        "failed ones": {"outcome": "failed"},
        "failed ones of an agent": {"outcome": "failed", "agent": "agent3"},
        "failed ones, none by SIP": {"outcome": "failed", "line": "sip", "trunk": "none"},
        "a caller's": {"caller": "+15550000123"},
        "the last digits of a number": {"q": "0000123"},
        "slow ones": {"min_latency_ms": "1500"},
        "none so slow": {"min_latency_ms": "9000"},
        "with barge-ins, of a day": {"min_barge_ins": "1", "since": "2026-05-02", "until": "2026-05-03"},
        "a common word": {"q": "word1"},
        "two common words": {"q": "word1 word2"},
        "a common and a rare word": {"q": "word1 word977"},
        "two rare words": {"q": "word901 word977"},
        "a common word, failed ones": {"q": "word1", "outcome": "failed"},
        "a common word, none so slow": {"q": "word1", "min_latency_ms": "9000"},
        "an unknown word": {"q": "unknown"},
    }


async def timed(ask: Callable[[], Awaitable[Any]]) -> dict[str, float]:
    """The rows of an answer, and how long it took, in ms."""
    took_ms, rows = [], 0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        answer = await ask()
        rows = len(answer) if isinstance(answer, list) else 1
        took_ms.append(1000 * (time.perf_counter() - began))
    return {"rows": rows, "median_ms": round(sorted(took_ms)[ROUNDS // 2], 1), "max_ms": round(max(took_ms), 1)}


if __name__ == "__main__":
    main()
