"""When a turn is over: what three rules cut off and how late they answer, in virtual time: python -m bench.eot.

The rules are silence alone, endpointing without the words (turn.adapt_transcript off), and endpointing as it is. With
--eot-bench FOLDER, which holds eot-bench's public set (see bench/eot_rows.py), that is heard in place of our own. Both
go by telephone, mu-law at 8 kHz. Of our own set --half seen (the default) is for work on voxline, the others are to
be looked at once, at the end. Writes bench/results/turns-eot-DATE.json.
"""

import argparse
import asyncio
from collections.abc import Iterable, Iterator
from hashlib import sha1
from itertools import product
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

import config
from agent.engine.base import FloatArray
from agent.engine.embedded.moonshine import Alternative, Moonshine, model_folder
from agent.engine.embedded.moonshine_recognizer import MoonshineRecognizer
from agent.listening.vad import Vad
from bench import eot_rows, eot_set
from bench.eot_measure import BUDGETS, PUBLISHED, Outcome, Pause, best, outcome
from bench.eot_set import PausedTurn
from bench.machine import keep, table
from bench.silences import BEFORE_MS, PatientCall, Spell, by_telephone, fired_ms, heard_ms
from config.agent import load_agents
from config.settings import TurnSettings

ADAPT = ("adapt_question", "adapt_pauses", "adapt_words", "adapt_reply", "adapt_transcript")
RULES = {
    "silence alone": TurnSettings().model_copy(update=dict.fromkeys(ADAPT, False)),
    "without the words": TurnSettings(adapt_transcript=False),
    "as it is": TurnSettings(),
}
AFTER_MS = 3600  # how long every turn's end is listened to; a rule that has not ended it by then waits as long
FINE_MS = range(200, AFTER_MS, 20)  # that are tried of silence alone
WAITS_MS = (200, 260, 320, 380, 440, 500, 600, 700, 850, 1000, 1250, 1500, 2000, 2500, 3000, 3500)  # of the others
SHORTEST, OPEN = 0.95, 1.75  # turn.endpoint_min_ms and turn.endpoint_open_ms, in turn.endpoint_ms

Line = dict[str, Any]


class Heard(msgspec.Struct):
    """A turn, and what the session knew in its silences."""

    paused: PausedTurn
    spells: list[Spell]

    def windows(self) -> Iterator[tuple[float, float, float]]:
        """Of each pause: where it begins and ends, and where the next begins. A turn that is ended before that was cut
        off, though speech may have begun again a moment before."""
        turn = self.paused.turn
        following = [*(begin for begin, _ in turn.pauses), turn.end_ms][1:]
        yield from ((*pause, until) for pause, until in zip(turn.pauses, following, strict=True))

    def pauses(self, settings: TurnSettings) -> list[Pause]:
        """What these settings do to each of them."""
        return [
            Pause(end - begin, fired_ms(self.spells, settings, begin, following) is not None)
            for begin, end, following in self.windows()
        ]

    def end(self, settings: TurnSettings) -> tuple[float, float] | None:
        """How long after the end of the turn these settings end it, and the answer is heard; None: not within
        AFTER_MS."""
        end_ms = self.paused.turn.end_ms
        fired = fired_ms(self.spells, settings, end_ms, inf)
        return None if fired is None else (fired - end_ms, heard_ms(self.spells, fired) - end_ms)


def main(arguments: list[str] | None = None) -> None:
    """Print the tables and keep them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--eot-bench", type=Path, metavar="FOLDER", help="with eot-bench's set, in place of our own")
    parser.add_argument("--language", default=eot_rows.LANGUAGE, help="of eot-bench's set (%(default)s)")
    parser.add_argument(
        "--half", choices=list(eot_set.HALVES), nargs="+", default=["seen"], help="of our own set (%(default)s)"
    )
    options = parser.parse_args(arguments)
    sets = {half: eot_set.turns(half) for half in options.half}
    if options.eot_bench:
        sets = {"eot-bench": _public(options.eot_bench, options.language)}
    try:
        results = {name: asyncio.run(_measured(name, turns)) for name, turns in sets.items()}
    except eot_rows.RowError as error:
        raise SystemExit(str(error)) from None
    print(f"\nwritten to {keep('turns-eot', {**results, 'published': PUBLISHED})}")


async def _measured(name: str, turns: Iterable[PausedTurn]) -> Line:
    heard = await hear(turns)
    results = {"turns": len(heard), "made": made(heard), "gaps": gaps(heard), "eot-bench": measure(heard)}
    show(results, f"{len(heard)} turns, {name}")
    return results


def _public(folder: Path, language: str) -> Iterator[PausedTurn]:
    return (PausedTurn(turn, "people") for turn in eot_rows.read(folder, language))


class RememberingMoonshine(Moonshine):
    """Hears the same audio once: the words before a pause do not depend on how long it becomes."""

    def __init__(self, folder: Path) -> None:
        self._texts: dict[bytes, str] = {}
        self._alternatives: dict[bytes, list[Alternative]] = {}
        super().__init__(folder)

    def text(self, audio: FloatArray) -> str:
        """See Moonshine."""
        key = _key(audio)
        if key not in self._texts:
            self._texts[key] = super().text(audio)
        return self._texts[key]

    def alternatives(self, audio: FloatArray) -> list[Alternative]:
        """See Moonshine."""
        key = _key(audio)
        if key not in self._alternatives:
            self._alternatives[key] = super().alternatives(audio)
        return self._alternatives[key]


def _key(audio: FloatArray) -> bytes:
    return sha1(audio.tobytes(), usedforsecurity=False).digest()


async def hear(turns: Iterable[PausedTurn]) -> list[Heard]:
    """Every turn in a call of its own."""
    agents = load_agents(Path(config.__file__).parent / "agents")
    agents |= load_agents(Path(__file__).parents[1] / "examples" / "agents")
    recognizer, vad = MoonshineRecognizer(agents, RememberingMoonshine(model_folder())), Vad()
    heard = []
    for paused in turns:
        call = PatientCall(paused.turn.name, paused.agent, recognizer, vad, expect=paused.expect)
        await call.start()
        await call.hear(by_telephone(paused.turn.audio, BEFORE_MS, AFTER_MS))
        call.close()
        heard.append(Heard(paused, call.spells))
    await recognizer.close()
    return heard


def made(heard: list[Heard]) -> list[Line]:
    """Turns cut off at a pause that was made, by kind and by its length: how many, and of how many, for each rule."""
    rows: dict[tuple[str, int], Line] = {}
    for item in heard:
        length = item.paused.made_ms
        if not length:
            continue
        for kind in ("all", item.paused.kind):
            row = rows.setdefault(
                (kind, length), {"kind": kind, "pause ms": length, "turns": 0} | dict.fromkeys(RULES, 0)
            )
            row["turns"] += 1
            for rule, settings in RULES.items():
                row[rule] += any(pause.cut_off for pause in item.pauses(settings))
    return sorted(rows.values(), key=lambda row: (row["kind"] != "all", row["kind"], row["pause ms"]))


def gaps(heard: list[Heard]) -> list[Line]:
    """Medians in ms from the end of the speech, of turns that were not cut off: until the turn is ended, and until the
    answer is heard."""
    rows = []
    for rule, settings in RULES.items():
        whole = [item for item in heard if not any(pause.cut_off for pause in item.pauses(settings))]
        for which, items in {"all": whole, "whole answers": [item for item in whole if item.paused.answer]}.items():
            found = [end for item in items if (end := item.end(settings))]
            decided, voice = [[end[number] for end in found] for number in (0, 1)]
            middle = {"decided": median(decided), "heard": median(voice)} if found else {}
            rows.append({"rule": rule, "turns": which, "count": len(items), **middle})
    return rows


def sweep(rule: str) -> Iterator[TurnSettings]:
    """The settings of a rule that are tried."""
    usual = RULES[rule]
    if rule == "silence alone":
        yield from (_waits(usual, wait, wait, wait, wait) for wait in FINE_MS)
        return
    for wait in WAITS_MS:
        for longest in (each for each in WAITS_MS if each >= wait):
            if usual.adapt_transcript:
                completes = [each for each in WAITS_MS if each <= wait]
                opens = sorted({longest, min(longest, round(OPEN * wait))})
            else:
                completes, opens = [wait], [wait]
            yield from (_waits(usual, wait, longest, *each) for each in product(completes, opens))


def _waits(usual: TurnSettings, wait: int, longest: int, complete: int, open_ms: int) -> TurnSettings:
    names = ("endpoint_ms", "endpoint_min_ms", "endpoint_max_ms", "endpoint_complete_ms", "endpoint_open_ms")
    values = (wait, round(SHORTEST * wait), longest, complete, open_ms)
    return usual.model_copy(update=dict(zip(names, values, strict=True)))


def measure(heard: list[Heard]) -> list[Line]:
    """eot-bench's, for each rule: the least mean latency at which at most 5 % and 10 % of the pauses are cut off, and
    the settings for it."""
    rows = []
    for rule in RULES:
        outcomes = [_outcome(heard, settings) for settings in sweep(rule)]
        row: Line = {"rule": rule}
        for budget in BUDGETS:
            found = best(outcomes, budget)
            row[f"{budget:.0%}"] = found and round(found.latency_ms)
            row[f"{budget:.0%} with"] = found and found.setting
        rows.append(row)
    return rows


def _outcome(heard: list[Heard], settings: TurnSettings) -> Outcome:
    pauses = [pause for item in heard for pause in item.pauses(settings)]
    ends = [(item.end(settings) or (AFTER_MS, 0))[0] for item in heard]
    setting = settings.model_dump(
        include={"endpoint_ms", "endpoint_max_ms", "endpoint_complete_ms", "endpoint_open_ms"}
    )
    return outcome(pauses, ends, AFTER_MS, setting)


def show(results: Line, title: str) -> None:
    """The three tables."""
    if results["made"]:
        columns = list(results["made"][0])
        table(f"Turns cut off at a pause in them; {title}", columns, [list(row.values()) for row in results["made"]])
    columns = ["rule", "turns", "count", "decided", "heard"]
    rows = [[row.get(column, "") for column in columns] for row in results["gaps"]]
    table("End of speech → turn ended, → answer heard, medians in ms", columns, rows)
    names = [f"{budget:.0%}" for budget in BUDGETS]
    rows = [[row["rule"], *(row[name] for name in names)] for row in results["eot-bench"]]
    rows += [[f"{rule} (published, its own set)", *map(str, latencies)] for rule, latencies in PUBLISHED.items()]
    table("eot-bench's measure: mean latency in ms where so many pauses are cut off", ["rule", *names], rows)


if __name__ == "__main__":
    main()
