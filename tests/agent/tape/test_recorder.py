"""Tapes: every event survives, audio in mu-law; metadata hold no words; broken tapes are told from those cut short."""

import audioop
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import events as e
from agent.engine.base import Cue, Done, Expect, Meaning, Next, ReplyRequest, ToolCall, ToolResult, Turn, Word
from agent.state import State
from agent.tape.format import Header, describe_command, describe_event, header, parse_event, settings_of
from agent.tape.reader import read
from agent.tape.recorder import Recorder
from config.exceptions import SettingsError, TapeError
from config.settings import CallSettings, Settings, TapeSettings, TurnSettings
from tests.agent.phone import Call, frame

SECRET = "xylophone"
LINE = audioop.ulaw2lin(bytes(range(256)), 2)  # every sample that mu-law has

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
objects = st.dictionaries(st.text(max_size=5), values, max_size=2)
texts = st.text(max_size=20)
numbers = st.integers(1, 9)
moments = st.floats(0, 1e7)
line_audio = st.binary(max_size=320).map(lambda ulaw: audioop.ulaw2lin(ulaw, 2))
meanings = st.none() | st.sampled_from(Meaning)
words = st.lists(st.builds(Word, texts, moments, moments), max_size=3).map(tuple)
calls = st.lists(st.builds(ToolCall, texts, objects), max_size=2).map(tuple)
results = st.lists(st.builds(ToolResult, texts, objects, objects, texts), max_size=2).map(tuple)
dones = st.builds(Done, objects, st.sampled_from(Expect), st.sampled_from(Next), texts, st.booleans(), texts)
all_events = {
    e.CallerAudio: st.builds(e.CallerAudio, line_audio),
    e.SpeechProbability: st.builds(e.SpeechProbability, st.floats(0, 1), st.integers(0, 10**7)),
    e.Dtmf: st.builds(e.Dtmf, st.sampled_from("0123456789*#ABCD")),
    e.Played: st.builds(e.Played, numbers, moments),
    e.Paused: st.builds(e.Paused, numbers, moments),
    e.TransferFailed: st.builds(e.TransferFailed, texts),
    e.Held: st.builds(e.Held),
    e.Retrieved: st.builds(e.Retrieved),
    e.HungUp: st.builds(e.HungUp),
    e.Partial: st.builds(e.Partial, numbers, texts, meanings, st.sampled_from([None, True, False])),
    e.CallerSaid: st.builds(e.CallerSaid, numbers, texts, meanings),
    e.Transcribed: st.builds(e.Transcribed, numbers, texts),
    e.ReplyText: st.builds(e.ReplyText, numbers, texts),
    e.ReplyUnfinished: st.builds(e.ReplyUnfinished, numbers),
    e.ReplyAudio: st.builds(e.ReplyAudio, numbers, line_audio, words),
    e.ReplyDone: st.builds(e.ReplyDone, numbers, dones, calls),
    e.ReplyEnded: st.builds(e.ReplyEnded, numbers),
    e.ReplyFailed: st.builds(e.ReplyFailed, numbers, texts),
    e.ToolsFinished: st.builds(e.ToolsFinished, numbers, results),
    e.Shutdown: st.builds(e.Shutdown),
    e.RecordingSwitched: st.builds(e.RecordingSwitched, st.booleans()),
    e.SayRequested: st.builds(e.SayRequested, texts, texts, texts, st.booleans()),
    e.PressRequested: st.builds(e.PressRequested, texts),
    e.Instructed: st.builds(e.Instructed, texts),
    e.TransferRequested: st.builds(e.TransferRequested, texts),
    e.HangUpRequested: st.builds(e.HangUpRequested),
    e.TakenOver: st.builds(e.TakenOver),
    e.GivenBack: st.builds(e.GivenBack),
    e.OperatorAudio: st.builds(e.OperatorAudio, line_audio),
}


def through_json(plain: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(plain))


# Events and commands as plain data


def test_every_kind_of_event_is_tried_here() -> None:
    assert set(all_events) == set(e.Event.__subclasses__())


def test_the_names_on_tapes_are_those_of_all_events_and_commands() -> None:
    assert list(e.EVENTS.values()) == e.Event.__subclasses__()
    assert list(e.COMMANDS.values()) == e.Command.__subclasses__()


@given(event=st.one_of(*all_events.values()))
def test_every_event_survives(event: e.Event) -> None:
    plain = through_json(describe_event(event))
    # Mu-law has two zeros, and only one of them comes from PCM: both are silence.
    assert parse_event(plain) == event
    assert through_json(describe_event(parse_event(plain))) == plain


@given(pcm=st.binary(max_size=640).filter(lambda pcm: len(pcm) % 2 == 0))
def test_audio_that_is_not_the_lines_own_survives_as_the_line_would_carry_it(pcm: bytes) -> None:
    event = parse_event(through_json(describe_event(e.ReplyAudio(1, pcm))))
    assert isinstance(event, e.ReplyAudio)
    assert event.pcm == audioop.ulaw2lin(audioop.lin2ulaw(pcm, 2), 2)


@given(pcm=st.binary(max_size=640).filter(lambda pcm: len(pcm) % 2 == 0))
def test_a_commands_audio_has_the_same_digest_before_and_after_mu_law(pcm: bytes) -> None:
    lossy = audioop.ulaw2lin(audioop.lin2ulaw(pcm, 2), 2)
    for one, other in (
        (e.Play(1, pcm, (1.0,)), e.Play(1, lossy, (1.0,))),
        (e.Hear(1, pcm, Expect.OPEN), e.Hear(1, lossy, Expect.OPEN)),
        (e.StartReply(1, request(pcm)), e.StartReply(1, request(lossy))),
    ):
        assert describe_command(one) == describe_command(other)


def test_how_many_digits_are_expected_is_on_the_tape_where_it_is_known() -> None:
    assert "expect_digits" not in describe_command(e.Hear(1, LINE, Expect.OPEN))
    assert describe_command(e.Hear(1, LINE, Expect.DIGITS, expect_digits=(6, 8)))["expect_digits"] == (6, 8)


def test_what_a_wide_band_line_has_besides_is_not_on_the_tape() -> None:
    wide = LINE * 2
    for event in (e.CallerAudio(LINE, wide), e.ReplyAudio(1, LINE, (), wide)):
        narrow = msgspec.structs.replace(event, wide=b"")
        assert describe_event(event) == describe_event(narrow)
        assert parse_event(through_json(describe_event(event))) == narrow
    for one, other in (
        (e.Play(1, LINE, (1.0,), wide), e.Play(1, LINE, (1.0,))),
        (e.Hear(1, LINE, Expect.OPEN, wide=wide), e.Hear(1, LINE, Expect.OPEN)),
        (e.StartReply(1, request(LINE, wide=wide)), e.StartReply(1, request(LINE))),
    ):
        assert describe_command(one) == describe_command(other)
        assert "wide" not in str(describe_command(one))


def test_other_audio_has_another_digest() -> None:
    described = [describe_command(e.Play(1, pcm, ())) for pcm in (LINE, LINE[::-1], LINE[:-2], b"")]
    assert len({str(command) for command in described}) == len(described)


def request(audio: bytes = b"", **more: Any) -> ReplyRequest:
    return ReplyRequest(id="CA1/1.0", call="CA1", agent="desk", cue=Cue.ANSWER, audio=audio, **more)


# Recording and reading


def test_what_is_recorded_is_read_again() -> None:
    recorder = Recorder(words=True)
    started = [e.StartReply(1, request())]
    steps: list[tuple[float, e.Event | None, list[e.Command], State]] = [
        (0.0, None, started, State.PROCESSING),
        (20.0, e.CallerAudio(LINE), [], State.PROCESSING),
        (40.0, e.CallerAudio(LINE), [e.Hear(1, LINE, Expect.OPEN)], State.PROCESSING),
        (40.0, e.ReplyText(1, "Grüß Gott\n\u2028"), [], State.PROCESSING),
        (40.0, e.ReplyAudio(1, LINE, (Word("a", 0, 1),)), [e.Play(1, LINE, (1.0,))], State.SPEAKING),
    ]
    lines = [msgspec.json.encode(head()) + b"\n"]
    lines += [recorder.step(*step, clock_ms=1.0) for step in steps]
    lines.insert(3, recorder.note(40.0, out="mark", name="1.0.8"))
    assert all(line.count(b"\n") == 1 for line in lines)
    found_head, found = read(lines)
    assert found_head == head()
    steps_read = list(found)
    assert [step.at for step in steps_read] == [step[0] for step in steps]
    assert [step.event for step in steps_read] == [step[1] for step in steps]
    assert [step.commands for step in steps_read] == [
        [through_json(describe_command(command)) for command in step[2]] for step in steps
    ]
    assert [step.state for step in steps_read] == ["processing", "", "", "", "speaking"]


def test_the_header_gives_the_settings_back() -> None:
    settings = Settings(turn=TurnSettings(endpoint_ms=700), call=CallSettings(max_s=99), tape=TapeSettings(mode="full"))
    found = header("CA1", "desk", "now", "1.0", settings, transfers={"person": "+1"})
    decoded, _ = read([msgspec.json.encode(found) + b"\n"])
    again = settings_of(decoded)
    assert (again.turn, again.call, again.reply, again.playout) == (
        settings.turn,
        settings.call,
        settings.reply,
        settings.playout,
    )
    assert decoded.transfers == {"person": "+1"}
    assert settings_of(decoded, {"turn.endpoint_ms": 300}).turn.endpoint_ms == 300
    with pytest.raises(SettingsError, match=r"turn\.endpont_ms: there is no such setting"):
        settings_of(decoded, {"turn.endpont_ms": 300})


def test_only_what_decides_changes_the_hash() -> None:
    usual, other = Settings(), Settings(turn=TurnSettings(endpoint_ms=500))
    hashes = [header("CA1", "desk", "now", "1", settings).settings_hash for settings in (usual, other, Settings())]
    assert hashes[0] == hashes[2] != hashes[1]


def test_the_header_holds_no_secret() -> None:
    settings = Settings(twilio={"auth_token": SECRET}, server={"public_url": "https://example.com"})
    assert SECRET not in str(header("CA1", "desk", "now", "1", settings))


# Metadata


def head(mode: str = "full") -> Header:
    return header("CA1", "desk", "now", "1.0", Settings(tape=TapeSettings(mode=mode)))


def metadata(event: e.Event | None, *commands: e.Command) -> bytes:
    return Recorder(words=False).step(20.0, event, list(commands), State.LISTENING)


told = {"day": SECRET, SECRET: {"deep": [SECRET]}}


@pytest.mark.parametrize(
    "event",
    [
        e.Partial(1, SECRET, Meaning.TURN),
        e.CallerSaid(1, SECRET, Meaning.TURN),
        e.ReplyText(1, SECRET),
        e.ReplyAudio(1, LINE, (Word(SECRET, 0, 1),)),
        e.ReplyDone(1, Done(state=told), (ToolCall("book", told),)),
        e.ToolsFinished(1, (ToolResult("book", told, told, SECRET),)),
        e.SayRequested(SECRET),
        e.Instructed(SECRET),
        e.PressRequested(SECRET),
        e.TransferRequested(SECRET),
        e.OperatorAudio(LINE),
    ],
)
def test_metadata_of_events_hold_no_words(event: e.Event) -> None:
    line = metadata(event)
    assert SECRET.encode() not in line
    assert json.loads(line)["event"]["type"] == type(event).__name__


@pytest.mark.parametrize(
    "command",
    [
        e.StartReply(1, request(transcript=SECRET, history=(Turn("caller", SECRET),), state=told)),
        e.StartReply(1, request(tool_results=(ToolResult("book", told, told),))),
        e.RunTools(1, (ToolCall("book", told),)),
        e.Interrupted(1, 0, 0, SECRET),
        e.SpeakText(1, SECRET),
        e.Transfer(SECRET),
        e.Said("caller", SECRET, interrupted=False, at_ms=0),
    ],
)
def test_metadata_of_commands_hold_no_words(command: e.Command) -> None:
    line = metadata(e.HungUp(), command)
    assert SECRET.encode() not in line
    assert json.loads(line)["commands"][0]["type"] == type(command).__name__


def test_metadata_hold_no_audio() -> None:
    recorder = Recorder(words=False)
    lines = [
        recorder.step(20.0, e.CallerAudio(LINE), [], State.IDLE),
        recorder.step(20.0, e.CallerAudio(LINE), [e.Hear(1, LINE, Expect.OPEN), e.Play(1, LINE, ())], State.IDLE),
        recorder.step(20.0, e.ReplyAudio(1, LINE), [], State.IDLE),
        recorder.note(20.0, out="media", reply=1, position=0, ulaw=bytes(160)),
    ]
    for line in lines:
        assert b"ulaw" not in line
        assert b"pcm" not in line
        assert len(line) < 250


@pytest.mark.parametrize("where", ["event", "request"])
def test_metadata_hold_no_digits(where: str) -> None:
    if where == "event":
        assert json.loads(metadata(e.Dtmf("7")))["event"].get("digit") != "7"
    else:
        assert b"98765" not in metadata(e.HungUp(), e.StartReply(1, request(digits="98765")))


def test_metadata_hold_no_errors_of_tools() -> None:
    failed = ToolResult("book", {}, error=f"there is no day {SECRET}")
    assert SECRET.encode() not in metadata(e.HungUp(), e.StartReply(1, request(tool_results=(failed,))))


def test_metadata_of_a_whole_call_hold_none_of_its_words() -> None:
    call = Call({})
    call.answer("zebra quokka.", done=Done(state={"pangolin": "pangolin"}))
    call.play_out()
    call.time(600, speech=True, db=-20)
    call.time(500)
    call.answer("zebra aardvark.", heard="quokka narwhal", done=Done(state={"pangolin": 1}))
    call.time(60, speech=True, db=-20)
    call.send(e.Partial(call.session.utterance, "narwhal", Meaning.TURN), e.HungUp())
    lines = b"".join(call.tape(words=False)).lower()
    full = b"".join(call.tape()).lower()
    for word in (b"zebra", b"quokka", b"pangolin", b"aardvark", b"narwhal"):
        assert word in full
        assert word not in lines
    assert b'"meaning":"turn"' in lines  # what it is for: when, and why
    assert b'"state":"speaking"' in lines
    assert len(lines) < len(full) / 2


# Broken tapes


def lines_of_a_call() -> list[bytes]:
    call = Call({})
    call.greet()
    call.time(200, db=-30)
    return [msgspec.json.encode(call.header()) + b"\n", *call.tape()]


def test_a_last_line_that_breaks_off_is_ignored_wherever_it_does() -> None:
    *lines, last = lines_of_a_call()
    whole = list(read(lines)[1])
    for length in range(len(last) - 1):
        assert list(read([*lines, last[:length]])[1]) == whole
    assert len(list(read([*lines, last[:-1]])[1])) in (len(whole), len(whole) + 1)
    assert len(list(read([*lines, last])[1])) == len(whole) + 1


@pytest.mark.parametrize(
    "broken",
    [
        b'{"at":20.0,"eve',
        b"",
        b"[1, 2",
        b"7",
        b"\xff\xfe",
        b'{"at":20.0,"event":{"type":"Sneezed"}}',
        b'{"at":20.0,"event":{}}',
        b'{"at":20.0,"event":7}',
        b'{"event":{"type":"HungUp"}}',
        b'{"at":20.0,"event":{"type":"CallerAudio"}}',
        b'{"at":20.0,"event":{"type":"CallerAudio","ulaw":"abc"}}',
        b'{"at":20.0,"event":{"type":"Dtmf","digit":7}}',
    ],
)
def test_a_broken_line_in_the_middle_is_named(broken: bytes) -> None:
    lines = lines_of_a_call()
    lines[4] = broken + b"\n"
    _, steps = read(lines)
    with pytest.raises(TapeError, match=r"^line 5: "):
        list(steps)


def test_the_steps_before_a_broken_line_can_be_had() -> None:
    lines = lines_of_a_call()
    lines[4] = b"{\n"
    _, steps = read(lines)
    assert [next(steps).at for _ in range(3)] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("first", [b"RIFF....WAVE\n", b"{}\n", b"[]\n", b"\xff\xd8\n", b'{"tape":"1"}\n'])
def test_another_file_is_no_tape(first: bytes) -> None:
    with pytest.raises(TapeError, match=r"this is no tape: ."):
        read([first])


@pytest.mark.parametrize("lacking", ["call", "agent", "mode"])
def test_what_a_header_lacks_is_named(lacking: str) -> None:
    lines = lines_of_a_call()
    head = msgspec.json.decode(lines[0])
    del head[lacking]
    with pytest.raises(TapeError, match=f"this is no tape that can be replayed: line 1: `{lacking}` is missing"):
        read([msgspec.json.encode(head) + b"\n", *lines[1:]])


def test_an_empty_file_is_no_tape_and_that_is_said() -> None:
    with pytest.raises(TapeError, match="it is empty"):
        read([])


@pytest.mark.parametrize("version", [0, 2, 99])
def test_a_tape_of_another_version_is_refused(version: int) -> None:
    other = msgspec.structs.replace(head(), tape=version)
    with pytest.raises(TapeError, match=f"version {version}; this voxline reads version 1"):
        read([msgspec.json.encode(other) + b"\n"])


def test_a_silent_frame_takes_little_room() -> None:
    line = Recorder(words=True).step(20.0, e.CallerAudio(frame(-60)), [], State.IDLE)
    assert len(line) < 300
