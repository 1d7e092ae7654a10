"""The things that callers complain about, one call each: the scripts in tests/calls against a server in this process,
all at once.

Each script is listed with what must hold for its report and its tape. Every tape must then replay to the same
decisions.
"""

import asyncio
import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from agent.engine.embedded.numerals import words_of
from agent.engine.embedded.synthesizer import say
from agent.listening.vad import Vad
from agent.tape import replay
from agent.tape.file import read_lines
from audio import resample, wav
from audio.rate import RATE, SAMPLES_PER_MS
from config.settings import Settings, load_settings
from telephony.server.app import App
from telephony.server.draining import build_server
from telephony.simulator.call import run_call
from telephony.simulator.report import CallReport, Outcome
from telephony.simulator.script import load_script
from telephony.simulator.ticker import Ticker
from telephony.tapes.replay import open_tape
from tests import thread_time
from tests.waiting import running

SCRIPTS = Path(__file__).parent / "calls"
SETTINGS: dict[str, Any] = {
    "server.port": 0,
    "engine.embedded.decoders": 10,  # an utterance that finds none is heard only when it is over
    "tape.mode": "full",
    "turn.reprompt_ms": 3000,
    "turn.max_reprompts": 1,
}
SOON_MS = 350  # onset of an interruption → silence
FADE_MS = 20  # what is still sent after `clear`, so that it does not click

GREETING = "Hello, this is Riverside Dental. How can I help you?"
HOURS = "We're open Monday to Friday, from nine in the morning to five in the afternoon."
ANYTHING_ELSE = "Is there anything else I can do for you?"
ADDRESS = "We're at twelve River Street, right across from the station."
STILL_THERE = "Are you still there?"
QUESTION = "What's the four digit number of your appointment?"
GO_AHEAD = "Sure. What is it?"
CONFIRMATION = "I'll cancel appointment 1 2 3 4. Is that right?"
TIME = "At what time on Tuesday?"
GOODBYE = "Thank you for calling Riverside Dental. Goodbye!"
FAREWELL = "I can't hear you, so I'll hang up now. Please call again any time. Goodbye!"

Line = dict[str, Any]

pytestmark = pytest.mark.timeout(150)  # the first test waits for all calls


class Call(msgspec.Struct):
    """One call that was made: what the caller noticed, and what the server recorded."""

    report: CallReport
    tape: Path
    lines: list[Line]
    cancelled: list[str]  # numbers of appointments that the tool was given

    def commands(self, *kinds: str) -> list[Line]:
        """The commands of these kinds, in order."""
        return [item for line in self.lines for item in line.get("commands", []) if item["type"] in kinds]

    def said(self, role: str) -> list[str]:
        """What went into the history; what was interrupted ends in three dots."""
        return [item["text"] + "..." * item["interrupted"] for item in self.commands("Said") if item["role"] == role]

    def answers(self) -> list[Line]:
        """The caller's turns that were answered."""
        return [item for item in self.commands("TurnDecided") if item["cue"] == "answer"]

    def words(self, reply: int) -> list[tuple[str, float]]:
        """The words of a reply, each with its end in ms from the reply's start."""
        found, start = [], 0.0
        for event in (line.get("event", {}) for line in self.lines):
            if event.get("type") == "ReplyAudio" and event["reply"] == reply:
                found += [(word["text"], start + word["end_ms"]) for word in event["words"]]
                start += len(msgspec.json.decode(f'"{event["ulaw"]}"', type=bytes)) / SAMPLES_PER_MS
        return found


Check = Callable[[Call], None]


# What must hold


def goes_well(call: Call) -> None:
    """The line held, and the script ran to its end."""
    report = call.report
    assert report.ok, (report.outcome, report.error)
    assert report.traffic.rejected == 0, report.traffic.rejected_examples


def one_answer_at_a_time(call: Call) -> None:
    """No reply is played before the one before it was heard to its end or broken off."""
    playing = None
    for command in call.commands("Play", "Said", "Interrupted"):
        if command["type"] == "Play":
            assert playing in (None, command["reply"]), f"reply {command['reply']} over reply {playing}"
            playing = command["reply"]
        elif command["type"] == "Interrupted" or command["role"] == "agent":
            playing = None


def is_answered(call: Call) -> None:
    """Every turn of the caller got an answer, including the last one."""
    assert [turn.text for turn in call.report.turns if turn.answer_ms is None] == []


def agent_says(*texts: str) -> Check:
    """This, after the greeting, is all that the agent says; of what ends in three dots the caller heard so far."""

    def agent_says_so(call: Call) -> None:
        found = call.said("agent")
        assert len(found) == 1 + len(texts), found
        for text, wanted in zip(found, (GREETING, *texts), strict=True):
            if wanted.endswith("..."):
                assert text.endswith("...")
                assert wanted.startswith(text.removesuffix("..."))
            else:
                assert text == wanted

    return agent_says_so


def caller_says(*texts: str) -> Check:
    """These turns of the caller were heard, however a recognizer writes them."""

    def caller_says_so(call: Call) -> None:
        assert [words_of(text) for text in call.said("caller")] == [words_of(text) for text in texts]

    return caller_says_so


def is_talked_over(call: Call) -> None:
    """The script did its job: the caller made a sound over the agent's voice."""
    assert len(call.report.interruptions) == 1


def pauses_and_goes_on(call: Call) -> None:
    """The agent falls silent, and says the rest when it is clear that it need not stop."""
    kinds = [item["type"] for item in call.commands("Pause", "Resume", "Interrupted")]
    assert kinds, "the sound was not noticed at all"
    assert kinds == ["Pause", "Resume"] * (len(kinds) // 2)


def is_not_interrupted(call: Call) -> None:
    """No reply was ended by what the caller did."""
    assert call.commands("Interrupted") == []


def is_interrupted(times: int) -> Check:
    """So often the caller ended a reply, and each time it fell silent so soon that nobody notices a delay."""

    def is_interrupted_so_often(call: Call) -> None:
        assert len(call.commands("Interrupted")) == times
        assert len(call.report.interruptions) == times
        for item in call.report.interruptions:
            assert item.clear_ms is not None
            assert item.clear_ms < SOON_MS
            assert item.stray_ms <= FADE_MS

    return is_interrupted_so_often


def remembers_what_was_heard(call: Call) -> None:
    """Of interrupted replies the history has the words that the caller's ear heard to their ends, and no others."""
    ends = [item.onset_ms + item.heard_ms for item in call.report.interruptions] or [call.report.duration_ms]
    starts = [turn.answer_ms for turn in call.report.turns]
    cut = [item for item in call.commands("Said") if item["interrupted"]]
    assert len(cut) == len(ends)
    replies = [item["reply"] for item in call.answers()]
    for said, reply, start, end in zip(cut, replies, starts, ends, strict=False):
        assert start is not None
        heard = end - start
        words = call.words(reply)
        told = len(said["text"].split())
        assert said["text"] == " ".join(text for text, _ in words[:told])
        assert 0 < told < len(words)
        assert words[told - 1][1] <= heard + 60, f"{words[told - 1]} was not heard in {heard} ms"
        assert words[told][1] >= heard - 400, f"{words[told]} was heard in {heard} ms"


def is_heard_to_its_end(call: Call) -> None:
    """The last word came from the agent, and nothing of it was lost."""
    assert call.report.outcome is Outcome.HUNG_UP_BY_AGENT
    assert call.report.traffic.audio_cut_off_ms == 0
    assert call.report.traffic.clears_received == 0


def cancels(number: str | None) -> Check:
    """The appointment of this number was cancelled; None: none was."""

    def cancels_it(call: Call) -> None:
        assert call.cancelled == ([number] if number else [])

    return cancels_it


def is_one_turn(call: Call) -> None:
    """The caller's pause did not split one turn into two."""
    assert len(call.answers()) == len(call.report.turns)


def is_joined_or_answered(call: Call) -> None:
    """The agent answered what came last, with all that was said; of an earlier answer not even a sentence was heard."""
    assert words_of(" ".join(call.said("caller"))) == words_of("i'd like an appointment on tuesday")
    assert [text for text in call.said("agent") if not text.endswith("...")] == [GREETING, TIME]


def keeps_still_for_noise(call: Call) -> None:
    """The first that was taken for a turn is what was said."""
    [turn] = call.report.turns
    [answer] = call.answers()
    assert answer["at_ms"] > turn.speech_end_ms


def asks_before_it_leaves(call: Call) -> None:
    """The agent asks a silent caller whether they are there, gives them time to answer, and then says goodbye."""
    cues = [(item["cue"], item["at_ms"]) for item in call.commands("TurnDecided")]
    assert [cue for cue, _ in cues] == ["greet", "reprompt", "farewell"]
    assert all(later - earlier > SETTINGS["turn.reprompt_ms"] for (_, earlier), (_, later) in pairwise(cues))


HOURS_ASKED = "what are your opening hours"
goes_on = (is_talked_over, is_not_interrupted, is_answered, caller_says(HOURS_ASKED))
all_hours = agent_says(f"{HOURS} {ANYTHING_ELSE}")
hours_cut, address_cut, question_cut = f"{HOURS}...", f"{ADDRESS}...", f"{QUESTION}..."

# The longest calls first, so that the others end beside them.
CALLS: dict[str, tuple[Check, ...]] = {
    "silence": (
        asks_before_it_leaves,
        is_heard_to_its_end,
        caller_says(),
        agent_says(
            f"{STILL_THERE} You can ask for our hours or our address, or book or cancel an appointment.", FAREWELL
        ),
    ),
    "yes": (
        is_answered,
        caller_says("cancel my appointment", "1234", "yes"),
        agent_says(QUESTION, CONFIRMATION, f"Appointment 1 2 3 4 is cancelled. {ANYTHING_ELSE}"),
        cancels("1234"),
    ),
    "interrupts_twice": (
        is_answered,
        is_interrupted(2),
        remembers_what_was_heard,
        caller_says(HOURS_ASKED, "what's your address", HOURS_ASKED),
        agent_says(hours_cut, address_cut, f"{HOURS} What else can I do for you?"),
    ),
    "no": (
        is_answered,
        caller_says("cancel my appointment", "1234", "no"),
        agent_says(QUESTION, CONFIRMATION, QUESTION),
        cancels(None),
    ),
    "digits_in_groups": (
        is_answered,
        is_one_turn,
        caller_says("cancel my appointment", "one two three four"),
        agent_says(QUESTION, CONFIRMATION),
    ),
    "noise_before_speech": (
        is_answered,
        keeps_still_for_noise,
        caller_says("what's your address"),
        agent_says(f"{ADDRESS} {ANYTHING_ELSE}"),
    ),
    "uh_huh": (*goes_on, pauses_and_goes_on, all_hours),
    "mm_hmm": (*goes_on, pauses_and_goes_on, all_hours),
    "cough": (*goes_on, all_hours),
    "babble": (*goes_on, all_hours),
    "echo": (*goes_on, all_hours),
    "no_wait": (
        is_answered,
        is_interrupted(1),
        remembers_what_was_heard,
        caller_says(HOURS_ASKED, "no wait"),
        agent_says(hours_cut, GO_AHEAD),
    ),
    "keys_over_the_question": (
        is_answered,
        caller_says("cancel my appointment", "5678"),
        agent_says(question_cut, CONFIRMATION.replace("1 2 3 4", "5 6 7 8")),
    ),
    "goes_on_late": (is_answered, is_joined_or_answered),
    "goes_on_soon": (
        is_answered,
        is_one_turn,
        caller_says("i'd like an appointment on tuesday"),
        agent_says(TIME),
    ),
    "pause_in_a_sentence": (
        is_answered,
        is_one_turn,
        caller_says("i'd like to book an appointment"),
        agent_says("Which day would you like?"),
    ),
    "goodbye": (is_answered, is_heard_to_its_end, agent_says(GOODBYE)),
    "over_the_goodbye": (is_answered, is_talked_over, is_heard_to_its_end, agent_says(GOODBYE)),
    "hangs_up_in_a_word": (remembers_what_was_heard, caller_says(HOURS_ASKED), agent_says(hours_cut)),
}


# The calls


@pytest.fixture(scope="module", params=["moonshine", pytest.param("pocketsphinx", marks=pytest.mark.slow)])
def calls(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Call]:
    """All calls, made at once to one server, which hears them with this recognizer."""
    folder, data = tmp_path_factory.mktemp("calls"), tmp_path_factory.mktemp("data")
    for name in CALLS:
        shutil.copy(SCRIPTS / f"{name}.yaml", folder)
    echo = resample.to_pcm16(resample.resample(*say(HOURS), RATE))
    wav.write(folder / "echo.wav", [np.frombuffer(echo, "<i2")], RATE)
    settings = load_settings(None, SETTINGS | {"server.data": str(data), "engine.embedded.recognizer": request.param})
    reports = thread_time.run(_make(settings, [folder / f"{name}.yaml" for name in CALLS]))
    tools = data / "cancellations.jsonl"
    cancelled = [json.loads(line) for line in tools.read_text().splitlines()] if tools.exists() else []
    found = {}
    for path in (data / "tapes").iterdir():
        head, *lines = map(msgspec.json.decode, read_lines(path))
        found[head["call"]] = (path, lines)
    return {
        name: Call(
            report,
            *found[report.call_sid],
            [item["arguments"]["number"] for item in cancelled if item["call"] == report.call_sid],
        )
        for name, report in reports.items()
    }


async def _make(settings: Settings, paths: list[Path]) -> dict[str, CallReport]:
    async with running(build_server(App(settings), settings)) as port:
        url, ticker = f"http://127.0.0.1:{port}", Ticker(asyncio.get_running_loop().time)
        made = [run_call(url, load_script(path), ticker=ticker) for path in paths]
        reports = await asyncio.gather(*made)
    return dict(zip([path.stem for path in paths], reports, strict=True))


def test_every_script_has_its_checks() -> None:
    assert {path.stem for path in SCRIPTS.glob("*.yaml")} == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_call(name: str, calls: dict[str, Call]) -> None:
    for check in (goes_well, one_answer_at_a_time, *CALLS[name]):
        check(calls[name])


@pytest.mark.parametrize("recompute", [False, True], ids=["recorded", "recomputed"])
def test_every_tape_replays_to_the_same_decisions(recompute: bool, calls: dict[str, Call]) -> None:
    for name, call in calls.items():
        done = replay.replay(*open_tape(call.tape), Vad() if recompute else None)
        assert done.difference is None, f"{name}\n{done.difference}"
        assert done.commands == sum(len(line.get("commands", [])) for line in call.lines)


@pytest.mark.parametrize("replays", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_replays_are_all_the_same(replays: int, calls: dict[str, Call]) -> None:
    for name, call in calls.items():
        head, steps = open_tape(call.tape)
        first, *others = (replay.replay(head, steps) for _ in range(replays))
        assert first.difference is None, f"{name}\n{first.difference}"
        assert all(other == first for other in others), name
