"""A taped call with other settings."""

import itertools
from typing import Any

import msgspec
import pytest

from agent import events as e
from agent.engine.base import Done, Next, Word
from agent.session import Session
from agent.tape.cut_offs import CutOffs
from agent.tape.format import Header, header, parse_event
from agent.tape.reader import Step
from agent.tape.recorder import Recorder
from agent.tape.whatif import FROM_CALLER, FROM_ENGINE, FROM_LINE, FROM_OPERATOR, Experience, what_if
from config.exceptions import TapeError
from config.settings import Settings, TapeSettings, TurnSettings

FRAME = b"\0" * 320  # 20 ms
THINKING_MS = 60  # from a request to its audio
SPEECH = [(1000, 1600), (1900, 2600), (6000, 6500)]  # the second goes on after a pause of 300 ms


def taped(speech: list[tuple[int, int]] = SPEECH, mode: str = "full", **turn: Any) -> tuple[Header, list[Step]]:
    """The tape of a call of ten seconds in which the caller speaks at these times; the agent says two words a reply."""
    settings = Settings(turn=TurnSettings(**turn), tape=TapeSettings(mode=mode))
    session = Session("CA1", "desk", settings)
    recorder = Recorder(words=True)
    lines: list[bytes] = []
    coming: list[tuple[float, int, e.Event]] = []
    order = itertools.count()

    def do(event: e.Event | None) -> None:
        commands = session.handle(event) if event else session.start()
        lines.append(recorder.step(session.now_ms, event, commands, session.state))
        for command in commands:
            match command:
                case e.StartReply(reply=reply):
                    for item in (
                        e.ReplyText(reply, "Nine to five."),
                        e.ReplyDone(reply, Done()),
                        e.ReplyAudio(reply, bytes(16 * 800), (Word("Nine", 0, 300), Word("to", 310, 790))),
                        e.ReplyEnded(reply),
                    ):
                        coming.append((session.now_ms + THINKING_MS, next(order), item))
                case e.Play(reply=reply, marks=marks):
                    coming.extend((session.now_ms + mark, next(order), e.Played(reply, mark)) for mark in marks)
                case e.Pause(reply=reply):
                    do(e.Paused(reply, 100))

    do(None)
    for at in range(20, 10_020, 20):
        do(e.CallerAudio(FRAME))
        if at % 40 == 0:  # a window each 40 ms does as well as one each 32
            talking = any(begin < at <= end for begin, end in speech)
            do(e.SpeechProbability(0.95 if talking else 0.02, at))
        for item in sorted(item for item in coming if item[0] <= at):
            coming.remove(item)
            do(item[2])
    head = header("CA1", "desk", "2026-01-01T00:00:00Z", "0", settings)
    steps = []
    for line in map(msgspec.json.decode, lines):
        event = None if line["event"]["type"] == "Start" else parse_event(line["event"])
        steps.append(Step(line["at"], event, line.get("commands", []), line.get("state", "")))
    return head, steps


def test_of_every_event_it_is_known_who_causes_it() -> None:
    causes = [*FROM_CALLER, *FROM_ENGINE, *FROM_LINE, *FROM_OPERATOR]
    causes += [e.ToolsFinished, e.Transcribed, e.Shutdown, e.RecordingSwitched]
    assert len(causes) == len(set(causes))
    assert set(causes) == set(e.EVENTS.values())


def test_with_the_same_settings_it_is_the_call_as_it_was() -> None:
    head, steps = taped(endpoint_ms=400, endpoint_min_ms=360)
    found = what_if(head, steps)
    decided = [command for step in steps for command in step.commands if command["type"] == "TurnDecided"]
    assert found.turns == sum(command["cue"] == "answer" for command in decided) == 2
    assert found.cut_offs == 0
    assert len(found.gaps) == 2
    assert all(350 <= gap <= 420 for gap in found.gaps)


def test_a_shorter_silence_answers_sooner_and_cuts_the_caller_off() -> None:
    head, steps = taped(endpoint_ms=400, endpoint_min_ms=360)
    short = what_if(head, steps, {"turn.endpoint_ms": 200, "turn.endpoint_min_ms": 200})
    assert short.cut_offs == 1
    assert short.turns == 3
    assert min(short.gaps) < 260
    long = what_if(head, steps, {"turn.endpoint_ms": 700, "turn.endpoint_min_ms": 700})
    assert (long.turns, long.cut_offs) == (2, 0)
    assert min(long.gaps) >= 700


def test_talking_over_the_agent_is_counted_under_the_new_settings() -> None:
    head, steps = taped([(1000, 1600), (2200, 2500)])
    kept = what_if(head, steps)
    assert kept.pauses == 1
    ended = what_if(head, steps, {"turn.resume": False})
    assert (ended.pauses, ended.interruptions, ended.resumes) == (1, 1, 0)


def test_early_replies_that_were_for_nothing_are_counted() -> None:
    head, steps = taped()
    assert what_if(head, steps).discarded == 1
    assert what_if(head, steps, {"turn.eager_attempts": 0}).discarded == 0


def test_a_transfer_that_came_to_nothing_does_so_again() -> None:
    """The caller asks for a person, nobody answers for a second, and they are answered once more."""
    head, steps = taped([(1000, 1600), (6000, 6500)])
    begun = next(n for n, step in enumerate(steps) if isinstance(step.event, e.ReplyDone) and step.event.reply > 1)
    done = msgspec.structs.replace(steps[begun].event, done=Done(next=Next.TRANSFER))
    steps[begun] = msgspec.structs.replace(steps[begun], event=done)
    heard = next(n for n, step in enumerate(steps) if n > begun and isinstance(step.event, e.Played))
    put_through = msgspec.structs.replace(steps[heard], commands=[{"type": "Transfer"}])
    steps[heard] = put_through
    later = next(n for n, step in enumerate(steps) if step.at >= put_through.at + 1000)
    steps.insert(later, Step(steps[later].at, e.TransferFailed("unanswered"), [], ""))
    assert what_if(head, steps).turns == 2
    del steps[later]
    assert what_if(head, steps).turns == 1  # where it does not fail, nobody is here to be answered


def test_a_hold_is_neither_a_barge_in_nor_a_long_wait() -> None:
    head, steps = taped()
    before = what_if(head, steps)
    played = [n for n, step in enumerate(steps) if any(command["type"] == "Play" for command in step.commands)]
    held = Step(steps[played[-1]].at, e.Held(), [], "")
    silence = [Step(held.at + 20 * n, e.CallerAudio(bytes(320)), [], "") for n in range(500)]
    retrieved = Step(held.at + 10_000, e.Retrieved(), [], "")
    after = what_if(head, [*steps[: played[-1] + 1], held, *silence, retrieved, *steps[played[-1] + 1 :]])
    assert (after.pauses, after.resumes, after.interruptions) == (before.pauses, before.resumes, before.interruptions)
    assert max(after.gaps) < 1000


def test_figures_of_many_calls_add_up() -> None:
    total = Experience()
    head, steps = taped()
    for _ in range(3):
        total.add(what_if(head, steps))
    once = what_if(head, steps)
    assert (total.turns, total.gaps, total.discarded) == (3 * once.turns, 3 * once.gaps, 3 * once.discarded)


def test_a_model_that_wanted_more_answers_a_turn_that_is_decided_sooner() -> None:
    """Only early it says that the turn is not finished; asked for good, it would be asked again for ever."""
    head, steps = taped()
    early = next(
        command["reply"]
        for step in steps
        for command in step.commands
        if command["type"] == "StartReply" and command["request"]["cue"] == "answer"
    )
    where = next(n for n, step in enumerate(steps) if getattr(step.event, "reply", 0) == early)
    steps[where] = msgspec.structs.replace(steps[where], event=e.ReplyUnfinished(early))
    found = what_if(head, steps, {"turn.endpoint_ms": 100, "turn.endpoint_min_ms": 100})
    assert (found.turns, found.cut_offs) == (3, 1)


def test_the_detectors_tail_is_nobody_going_on() -> None:
    """It hears speech for 100 ms after the loudness says that the turn has ended, and a click later."""
    cut_offs = CutOffs(onset=0.5, offset=0.35, min_speech_ms=96)
    cut_offs.decided(1000)
    for at_ms in range(1024, 2500, 32):
        cut_offs.probability(0.9 if at_ms <= 1120 or 1400 < at_ms <= 1470 else 0.1, at_ms)
    assert cut_offs.ends_ms == []
    cut_offs.decided(3000)
    for at_ms in range(3008, 4000, 32):
        cut_offs.probability(0.9 if at_ms > 3600 else 0.1, at_ms)
    assert cut_offs.ends_ms == [3000]


def test_a_backchannel_that_the_agent_went_on_from_is_nobody_going_on() -> None:
    cut_offs = CutOffs(onset=0.5, offset=0.35, min_speech_ms=96)
    cut_offs.decided(1000)
    for at_ms in range(1024, 1700, 32):
        cut_offs.probability(0.9 if at_ms > 1500 else 0.1, at_ms)
    cut_offs.dismissed()
    assert cut_offs.ends_ms == []


def test_a_tape_without_audio_cannot_be_tried_again() -> None:
    head, steps = taped(mode="metadata")
    with pytest.raises(TapeError, match="metadata only"):
        what_if(head, steps)
