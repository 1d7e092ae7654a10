"""What the dialogues make of what is said to them, in text and by natural voices: python -m bench.heard [FOLDER].

bench/heard.yaml has what people say to the shipped agents, what strangers say near a telephone, and numbers, times and
days; the other files of SETS the same again by people who had not seen the agents' phrases. FOLDER holds Kokoro's
packages, as bench.record has them; with it every sentence is also spoken, once, in each of VOICES (and kept in
FOLDER/heard), and heard by Moonshine over the phone, quiet and in line noise.
Writes bench/results/heard-DATE.json.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import soundfile

import config
from agent.engine.base import Cue, Done, Expect, Recognizer, ReplyRequest, SpeechBlock
from agent.engine.embedded.dialogue import DialogueModel
from agent.engine.embedded.dialogue_state import DID_YOU_MEAN, DialogueState
from agent.engine.embedded.moonshine import Moonshine, model_folder
from agent.engine.embedded.moonshine_recognizer import MoonshineRecognizer
from agent.engine.embedded.understanding import Understanding
from audio import resample
from audio.rate import RATE
from bench.hearing import BLOCK, SNR_DB, telephone
from bench.machine import keep, table
from bench.record import KOKORO_RATE, Kokoro
from config import strict_yaml
from config.agent import AgentSettings, load_agent
from telephony.simulator.voices import path_of

SETS = {
    "": "heard.yaml",
    "freely worded ": "heard_freely.yaml",
    "everyday ": "heard_everyday.yaml",
    "openings ": "heard_openings.yaml",
    "fifth ": "heard_fifth.yaml",
}
ROOT = Path(__file__).parents[1]
VOICES = ("am_fenrir", "am_eric", "bf_isabella")  # no voices of the shipped recordings

# A form with one question, for each kind of slot.
FORM: dict[str, Any] = {
    "name": "form",
    "hours": {"mon-fri": "08:00-18:00"},
    "dialogue": {
        "texts": {"greeting": "Hello."},
        "slots": {"number": "number", "time": "time", "day": "date"},
        "intents": {
            kind: {"phrases": [kind], "ask": {kind: "Which?"}, "confirm": "Right?", "answer": "Thank you."}
            for kind in ("number", "time", "day")
        },
    },
}


class Outcome(StrEnum):
    """What came of a sentence."""

    RIGHT = "right"
    MISSED = "not understood"
    ASKED = "asked about"
    WRONG = "wrong"


class Item(msgspec.Struct, frozen=True):
    """One sentence to one agent, and what is to come of it; `asked` is the slot that has been asked for."""

    say: str
    agent: str
    kind: str
    wanted: dict[str, Any] = {}  # intent, built_in, slots: what is understood; nothing for a stranger
    asked: str = ""


Listen = Callable[[Item, Expect], Awaitable[str]]


def main(arguments: list[str] | None = None) -> None:
    """Print the tables and keep them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", metavar="FOLDER", help="with Kokoro's packages")
    parser.add_argument("--voices", nargs="+", default=VOICES, metavar="VOICE", help="of Kokoro (%(default)s)")
    parser.add_argument("--kinds", nargs="+", metavar="KIND", help='of sentences, such as "openings intents"; all')
    options = parser.parse_args(arguments)
    said = [item for item in items() if not options.kinds or item.kind in options.kinds]
    results = {"text": asyncio.run(outcomes(said, _as_written))}
    if options.folder:
        results |= asyncio.run(_by_voices(options.folder, said, options.voices))
    rows = [[way, *figures] for way, found in results.items() for figures in summary(found)]
    table("What is said to the dialogues", ["heard", "set", "of", *Outcome], rows)
    for way, found in results.items():
        for item, heard, outcome in found:
            if outcome is not Outcome.RIGHT:
                print(f"{way}: {item.agent}: {item.say!r}, heard as {heard!r}: {outcome}")
    print(f"\nwritten to {keep('heard', {'rows': rows})}")


def agents() -> dict[str, AgentSettings]:
    """The shipped agents by name, and the form."""
    paths = [Path(config.__file__).parent / "agents" / "front_desk.yaml", *sorted((ROOT / "examples/agents").iterdir())]
    shipped = [load_agent(path) for path in paths]
    return {agent.name: agent for agent in (*shipped, AgentSettings.model_validate(FORM))}


def written() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each set of sentences, with what its kinds are called after."""
    for name, file in SETS.items():
        yield name, strict_yaml.load((ROOT / "bench" / file).read_text("utf-8"))


def items() -> Iterator[Item]:
    """Everything that is said; strangers to each of the shipped agents."""
    for name, sentences in written():
        yield from _items(name, sentences)


def _items(name: str, said: dict[str, Any]) -> Iterator[Item]:
    for agent, sentences in said["intents"].items():
        for each in sentences:
            yield Item(
                each["say"], agent, f"{name}intents", {key: value for key, value in each.items() if key != "say"}
            )
    for agent in said["intents"]:
        for say in said["strangers"]:
            yield Item(say, agent, f"{name}strangers")
    for kind, sentences in said["numbers"].items():
        for each in sentences:
            yield Item(each["say"], "form", f"{name}numbers", {"slots": {kind: each["value"]}}, kind)


async def outcomes(said: Sequence[Item], listen: Listen) -> list[tuple[Item, str, Outcome]]:
    """Each sentence with what was heard of it and what came of that."""
    known = agents()
    model = DialogueModel(known)
    [now] = {str(sentences["now"]) for _, sentences in written()}
    found: list[tuple[Item, str, Outcome]] = []
    for item in said:
        at = datetime.fromisoformat(now).replace(tzinfo=ZoneInfo(known[item.agent].time_zone))
        state = DialogueState(task=item.asked, question=item.asked)
        request = ReplyRequest("1", "CA1", item.agent, Cue.ANSWER, state=msgspec.to_builtins(state))
        request = msgspec.structs.replace(request, started_s=at.timestamp())
        expect = {"number": Expect.DIGITS, "time": Expect.TIME, "day": Expect.DATE}.get(item.asked, Expect.OPEN)
        heard = await listen(item, expect)
        request = msgspec.structs.replace(request, transcript=heard)
        found.append((item, heard, await _outcome(model, known[item.agent], item, request)))
    return found


async def _outcome(model: DialogueModel, known: AgentSettings, item: Item, request: ReplyRequest) -> Outcome:
    """Right is, of a stranger, to do nothing; else the intent or the built-in one that is wanted, with just its slots.
    What is missing was not understood, and what is another one is wrong."""
    [done] = [event async for event in model.reply(request) if isinstance(event, Done)]
    state = msgspec.convert(done.state, DialogueState)
    if state.misses:
        if state.question == DID_YOU_MEAN:
            return Outcome.ASKED
        return Outcome.MISSED if item.wanted else Outcome.RIGHT
    understood = model.understood(request)
    assert known.dialogue
    guessed = Understanding(known.dialogue).guess(request.transcript or "") if not understood else []
    intent = state.task or understood.intent or (guessed[0][0] if guessed else "")
    built_in = "" if intent else understood.built_in
    slots = item.wanted.get("slots", {})
    if not item.wanted or any(value != slots.get(name) for name, value in state.slots.items()):
        return Outcome.WRONG
    if (intent, built_in) != (item.asked or item.wanted.get("intent", ""), item.wanted.get("built_in", "")):
        return Outcome.WRONG
    return Outcome.RIGHT if state.slots == slots else Outcome.MISSED


def summary(found: list[tuple[Item, str, Outcome]]) -> Iterator[list[Any]]:
    """A row for each set: its name, how many there were, and how many of them had each outcome."""
    for kind in dict.fromkeys(item.kind for item, *_ in found):
        of_kind = [outcome for item, _, outcome in found if item.kind == kind]
        yield [kind, len(of_kind), *map(of_kind.count, Outcome)]


async def _as_written(item: Item, _: Expect) -> str:
    return item.say


async def _by_voices(
    folder: Path, said: Sequence[Item], voices: Sequence[str]
) -> dict[str, list[tuple[Item, str, Outcome]]]:
    """The same heard by Moonshine: for each voice, quiet and in noise."""
    speak(folder, said, voices)
    recognizer = MoonshineRecognizer(agents(), Moonshine(model_folder()))
    found = {}
    for voice in voices:
        for noise, snr_db in SNR_DB.items():
            listen = _over_the_phone(recognizer, folder / "heard", voice, snr_db)
            found[f"{voice} {noise}"] = await outcomes(said, listen)
    await recognizer.close()
    return found


def speak(folder: Path, said: Sequence[Item], voices: Sequence[str]) -> None:
    """Make the recordings that are not there yet."""
    wanted = [(voice, say) for voice in voices for say in dict.fromkeys(item.say for item in said)]
    missing = [(path, *each) for each in wanted if not (path := _recording(folder / "heard", *each)).exists()]
    kokoro = Kokoro(folder) if missing else None
    for path, voice, say in missing:
        assert kokoro
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, kokoro.speak(say, voice, 1.0), KOKORO_RATE, format="FLAC")


def _recording(folder: Path, voice: str, say: str) -> Path:
    return path_of(say, voice, folder).with_suffix(".flac")


def _over_the_phone(recognizer: Recognizer, folder: Path, voice: str, snr_db: float) -> Listen:
    """Each sentence is heard once: what a network hears depends on no agent."""
    known: dict[tuple[str, Expect], str] = {}

    async def listen(item: Item, expect: Expect) -> str:
        if (item.say, expect) not in known:
            audio, rate = soundfile.read(_recording(folder, voice, item.say), dtype="float32")
            pcm = telephone(resample.resample(audio, rate, RATE), snr_db, len(known))
            for at in range(0, len(pcm), BLOCK):
                await recognizer.hear(SpeechBlock(item.say, "CA1", item.agent, pcm[at : at + BLOCK], expect))
            known[item.say, expect] = (await recognizer.finish(item.say)).text
        return known[item.say, expect]

    return listen


if __name__ == "__main__":
    main()
