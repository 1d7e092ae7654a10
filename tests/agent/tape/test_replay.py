"""Replays: what was recorded gives the same commands again, and what was changed is shown."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agent import events as e
from agent.engine.base import Done, Expect, Meaning, Next, ToolCall, ToolResult
from agent.listening.vad import Vad
from agent.state import State
from agent.tape.reader import read
from agent.tape.replay import Replayed, replay
from audio.rate import RATE, WINDOW_MS
from config.exceptions import TapeError
from tests.agent.phone import PLAIN, Call, WideBand, widened

Json = dict[str, Any]


def replayed(call: Call, change: Callable[[list[Json]], None] | None = None, vad: Vad | None = None) -> Replayed:
    """Its tape, through JSON, perhaps changed on the way, in a fresh session."""
    plain = [msgspec.json.decode(line) for line in [msgspec.json.encode(call.header()), *call.tape()]]
    if change:
        change(plain)
    return replay(*read([msgspec.json.encode(line) + b"\n" for line in plain]), vad)


def conversation(kind: type[Call] = Call) -> Call:
    """A turn answered early, an uh-huh, an interruption, a tool, keys, and a goodbye."""
    call = kind({})
    call.greet()
    call.say(608)
    call.until(e.StartReply)
    call.answer("We are open from nine to five.", heard="when are you open", meaning=Meaning.TURN)
    call.until(e.TurnDecided)
    reply = call.last(e.Play).reply
    call.send(e.Played(reply, 290))
    call.say(200)
    call.until(e.StartReply)
    call.send(e.CallerSaid(call.last(e.StartReply).reply, "uh-huh", Meaning.BACKCHANNEL))
    call.send(e.Played(reply, 590))
    call.say(200)
    call.send(e.Partial(call.session.utterance, "book", Meaning.TURN))
    call.until(e.StartReply)
    early = call.last(e.StartReply).reply
    call.send(e.CallerSaid(early, "book monday", Meaning.TURN))
    call.send(e.ReplyDone(early, Done(state={"step": 1}), (ToolCall("book", {"day": 1}),)), e.ReplyEnded(early))
    call.until(e.RunTools)
    call.send(e.ToolsFinished(early, (ToolResult("book", {"day": 1}, {"ok": True}),)))
    call.answer("Booked. Your number?", done=Done(expect=Expect.DIGITS))
    call.play_out()
    call.send(e.Dtmf("1"), e.Dtmf("#"))
    call.answer("Goodbye.", done=Done(next=Next.HANG_UP))
    call.play_out()
    assert call.session.state is State.ENDED
    call.send(e.CallerAudio(bytes(320)), e.HungUp())
    return call


def test_a_call_with_everything_in_it_replays_identically() -> None:
    call = conversation()
    kinds = {type(command) for command in call.commands}
    assert {e.Pause, e.Resume, e.Drop, e.Interrupted, e.RunTools, e.ForgetUtterance, e.HangUp} <= kinds
    found = replayed(call)
    assert found.difference is None
    assert found.events == len(call.steps)
    assert found.commands == len(call.commands)
    assert found.media_ms == call.session.now_ms


def test_so_does_a_wide_band_call_which_decides_and_tapes_the_same() -> None:
    """What it brings besides is for engines and ears."""
    narrow, wide = conversation(), conversation(WideBand)
    assert replayed(wide).difference is None
    assert wide.tape() == narrow.tape()
    for command in wide.commands:
        if isinstance(command, e.Hear | e.Play):
            assert command.wide == widened(command.pcm)
        elif isinstance(command, e.StartReply):
            assert command.request.wide == widened(command.request.audio)
    assert all(
        any(isinstance(command, kind) and command.wide for command in wide.commands) for kind in (e.Hear, e.Play)
    )
    assert any(command.request.wide for command in wide.all(e.StartReply))
    assert not any(command.wide for command in narrow.all(e.Hear) + narrow.all(e.Play))


def test_audio_off_the_lines_grid_makes_no_difference() -> None:
    """What the synthesizer gives is no mu-law; the tape has only that."""
    call = Call({})
    reply = call.last(e.StartReply).reply
    odd = b"".join((37 * n % 60000 - 30000).to_bytes(2, "little", signed=True) for n in range(2400))
    call.send(e.ReplyText(reply, "Hum."), e.ReplyAudio(reply, odd), e.ReplyDone(reply, Done()), e.ReplyEnded(reply))
    call.play_out()
    assert replayed(call).difference is None


def step_with(plain: list[Json], kind: str) -> Json:
    return next(line for line in plain[1:] if any(command["type"] == kind for command in line.get("commands", [])))


def test_a_changed_command_is_shown() -> None:
    def change(plain: list[Json]) -> None:
        command = next(c for c in step_with(plain, "Interrupted")["commands"] if c["type"] == "Interrupted")
        assert command["heard"] == "We are"
        command["heard"] = "We are open"

    difference = replayed(conversation(), change).difference
    assert difference is not None
    assert difference.event.startswith("Partial ")
    assert any('"heard":"We are open"' in line for line in difference.expected)
    assert any('"heard":"We are"' in line for line in difference.found)
    shown = str(difference)
    assert shown.count("  - ") == shown.count("  + ") == 4
    assert f"> {difference.at_ms:8.0f} ms  Partial" in shown
    assert "CallerSaid" in shown  # what came before it


def test_a_missing_and_an_unexpected_command_are_shown() -> None:
    difference = replayed(conversation(), lambda plain: step_with(plain, "RunTools").pop("commands")).difference
    assert difference is not None
    assert "- (nothing)" in str(difference)
    assert any("RunTools" in line for line in difference.found)

    def invent(plain: list[Json]) -> None:
        next(line for line in plain[1:] if not line.get("commands"))["commands"] = [{"type": "Resume", "reply": 9}]

    difference = replayed(conversation(), invent).difference
    assert difference is not None
    assert "+ (nothing)" in str(difference)


def test_changed_audio_of_a_command_is_a_difference() -> None:
    def change(plain: list[Json]) -> None:
        step_with(plain, "Hear")["commands"][0]["audio"]["crc32"] ^= 1

    difference = replayed(conversation(), change).difference
    assert difference is not None
    assert "crc32" in difference.expected[0]


def test_a_changed_state_is_a_difference() -> None:
    def change(plain: list[Json]) -> None:
        next(line for line in plain[1:] if line.get("state") == "listening")["state"] = "speaking"

    assert replayed(conversation(), change).difference is not None


def test_a_changed_state_is_shown() -> None:
    def change(plain: list[Json]) -> None:
        next(line for line in plain[1:] if line.get("state") == "listening")["state"] = "speaking"

    shown = str(replayed(conversation(), change).difference)
    assert "listening" in shown
    assert "speaking" in shown


def test_a_changed_setting_shows_where_it_first_mattered() -> None:
    def change(plain: list[Json]) -> None:
        plain[0]["settings"]["turn"]["eager_ms"] = 300

    call = conversation()
    found = replayed(call, change)
    assert found.difference is not None
    assert any('"StartReply"' in line for line in found.difference.expected)
    assert found.difference.found == []
    assert found.events < len(call.steps)


def test_a_changed_probability_shows_where_it_first_mattered() -> None:
    def change(plain: list[Json]) -> None:
        for line in plain[1:]:
            if line["event"]["type"] == "SpeechProbability":
                line["event"]["value"] = 0.0

    found = replayed(conversation(), change)
    assert found.difference is not None
    assert found.commands >= 3


def test_a_tape_of_metadata_cannot_be_replayed() -> None:
    call = Call({})
    call.greet()
    head = msgspec.structs.replace(call.header(), mode="metadata")
    with pytest.raises(TapeError, match="the tape of CA1 holds metadata only"):
        replay(head, [])


def test_the_agents_transfers_are_on_the_tape() -> None:
    call = Call({})
    call.answer("One moment.", done=Done(next=Next.TRANSFER, transfer_to="person"))
    call.play_out()
    assert call.last(e.Transfer).number == "+15550100"
    call.time(3000)
    call.send(e.TransferFailed("busy"))
    call.answer("Nobody is there.")
    call.play_out()
    assert replayed(call).difference is None


# Probabilities computed anew


def recorded(audio: bytes, piece_ms: int = 20, gap_ms: int = 0) -> Call:
    """A call whose probabilities are those of the detector for this audio, which comes after a gap, perhaps."""
    call = Call({})
    call.greet()
    vad = Vad()
    stream = vad.open()
    size = piece_ms * RATE // 1000 * 2
    pieces = [audio[at : at + size] for at in range(0, len(audio), size)]
    for pcm in [*pieces[:20], *([bytes(16 * gap_ms)] if gap_ms else []), *pieces[20:]]:
        call.send(e.CallerAudio(pcm))
        stream.feed(pcm)
        while found := vad.run():
            call.send(*(e.SpeechProbability(value, at_ms) for _, value, at_ms in found))
    return call


def clicks(ms: int) -> bytes:
    """Something with life in it."""
    return b"".join((17000 * (n % 64 < 9 + n // 3000)).to_bytes(2, "little", signed=True) for n in range(8 * ms))


def test_probabilities_computed_anew_are_the_same() -> None:
    call = recorded(clicks(2000))
    values = [step[1].value for step in call.steps if isinstance(step[1], e.SpeechProbability)]
    assert len(values) == 2000 // WINDOW_MS
    assert replayed(call, vad=Vad()).difference is None


def forged(plain: list[Json]) -> None:
    for line in plain[1:]:
        if line["event"]["type"] == "SpeechProbability":
            line["event"]["value"] = 0.99


def test_with_a_detector_those_of_the_tape_do_not_count() -> None:
    call = recorded(bytes(16 * 1000))
    assert replayed(call, forged).difference is not None
    assert replayed(call, forged, Vad()).difference is None


@pytest.mark.parametrize(
    ("piece_ms", "gap_ms"),
    [(20, 0), (20, 1000), (80, 0), (200, 0), (20, 1900)],
)
def test_pieces_of_any_length_are_judged_whole(piece_ms: int, gap_ms: int) -> None:
    """A carrier may send long frames, and a gap is filled with one long piece."""
    call = recorded(bytes(16 * 6000), piece_ms, gap_ms)
    assert replayed(call, forged, Vad()).difference is None


# Any call


def speaks(call: Call, reply: int, count: int) -> None:
    for number in range(count):
        call.send(e.ReplyText(reply, f"w{number} "), call.audio(reply, f"w{number}"))


def ends(call: Call, reply: int, following: Next, expect: Expect, tools: bool) -> None:
    calls = (ToolCall("t", {"a": [1, None]}),) if tools else ()
    done = Done(next=following, expect=expect, state={"n": reply}, transfer_to="person")
    call.send(e.ReplyDone(reply, done, calls), e.ReplyEnded(reply))


def plays(call: Call, part: float) -> None:
    for play in call.all(e.Play)[-1:]:
        call.send(e.Played(play.reply, play.marks[-1] * part))


ACTS: dict[str, Callable[..., Any]] = {
    "time": lambda call, _, frames, db: call.time(20 * frames, speech=db is not None, db=db),
    "said": lambda call, reply, text, meaning: call.send(e.CallerSaid(reply, text, meaning)),
    "guess": lambda call, _, text, meaning, whole: call.send(e.Partial(call.session.utterance, text, meaning, whole)),
    "speaks": speaks,
    "ends": ends,
    "plays": lambda call, _, part: plays(call, part),
    "unfinished": lambda call, reply: call.send(e.ReplyUnfinished(reply)),
    "failed": lambda call, reply: call.send(e.ReplyFailed(reply, "broken")),
    "tools": lambda call, reply: call.send(e.ToolsFinished(reply, (ToolResult("t", {}, {"ok": True}),))),
    "key": lambda call, _, digit: call.send(e.Dtmf(digit)),
    "unreached": lambda call, _: call.session.state is State.CONNECTING and call.send(e.TransferFailed("busy")),
    "hold": lambda call, _: call.session.state not in (State.HOLD, State.ENDED) and call.send(e.Held()),
    "retrieve": lambda call, _: call.session.state is State.HOLD and call.send(e.Retrieved()),
    "shutdown": lambda call, _: call.send(e.Shutdown()),
    "hang up": lambda call, _: call.send(e.HungUp()),
}


def action(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """What is done, how many replies ago the one is that it concerns, and with what."""
    return st.tuples(st.just(name), st.integers(0, 2), *arguments)


meanings = st.none() | st.sampled_from(Meaning)
transcripts = st.sampled_from(["", "uh-huh", "no"])
time = action("time", st.integers(1, 30), st.sampled_from([None, -35.0, -20.0]))
actions = st.one_of(
    time,
    time,
    time,
    action("said", transcripts, meanings),
    action("guess", transcripts, meanings, st.sampled_from([None, True, False])),
    action("speaks", st.integers(1, 4)),
    action("ends", st.sampled_from(Next), st.sampled_from(Expect), st.booleans()),
    action("plays", st.sampled_from([0.5, 1.0])),
    action("key", st.sampled_from("5#")),
    st.one_of(*map(action, ("unfinished", "failed", "tools", "unreached", "hold", "retrieve"))),
)
lasts = st.none() | st.one_of(*map(action, ("shutdown", "hang up")))


@given(
    kind=st.sampled_from([Call, WideBand]),
    options=st.sampled_from([{}, PLAIN]),
    script=st.lists(actions, max_size=25),
    last=lasts,
)
@example(kind=Call, options={}, script=[("plays", 0, 1.0)], last=("hang up", 0))
@hypothesis_settings(max_examples=250, deadline=None)
def test_any_call_replays_identically(
    kind: type[Call], options: Json, script: list[tuple[Any, ...]], last: tuple[Any, ...]
) -> None:
    call = kind(options, max_utterance_ms=2000, reprompt_ms=2000)
    call.answer("Welcome dear caller.")
    for name, back, *arguments in [*script, *([last] if last else [])]:
        ACTS[name](call, max(1, call.last(e.StartReply).reply - back), *arguments)
    found = replayed(call)
    assert found.difference is None, str(found.difference)
    assert (found.events, found.commands) == (len(call.steps), len(call.commands))
