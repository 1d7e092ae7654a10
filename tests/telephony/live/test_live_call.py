"""What a live call shows, and how little it does while nobody looks."""

import msgspec
import pytest

from agent import events as e
from agent.engine.base import HIDDEN, Cue
from config.settings import LogSettings
from telephony.live.live_call import KEPT
from telephony.live.meter import SILENCE_DB
from telephony.live.view import Level
from telephony.records.call_record import Act
from tests.telephony.live.calls import Line, end, live_call


def test_its_beginning() -> None:
    view = msgspec.to_builtins(live_call().view())
    assert view | {"id": "", "started": 0} == {
        "id": "",
        "call": "CA1",
        "agent": "desk",
        "line": "quiet",
        "direction": "inbound",
        "caller": "*********123",
        "called": "*********199",
        "started": 0,
        "state": "processing",
        "speaking": "",
        "level": {"caller": SILENCE_DB, "agent": SILENCE_DB},
        "turns": 0,
        "barge_ins": 0,
        "last": None,
        "latency_ms": None,
        "audio_ms": None,
        "private": False,
        "recording": None,
        "held": False,
        "operator": "",
        "taken_over": False,
        "wide": False,
    }
    assert len(view["id"]) == 16


@pytest.mark.parametrize(("numbers", "caller"), [("full", "+15550100123"), ("masked", "*********123"), ("off", "")])
def test_numbers_as_far_as_the_log_shows_them(numbers: str, caller: str) -> None:
    assert live_call(log=LogSettings(numbers=numbers)).view().caller == caller


def test_turns_interruptions_and_latencies_are_counted() -> None:
    call = live_call()
    call.told(e.TurnDecided(1, Cue.GREET, 0.0, 0.0))
    call.answer_begins(1, 90.0)
    assert call.view().latency_ms is None  # a greeting answers nobody
    call.told(e.TurnDecided(2, Cue.ANSWER, 1400.0, 1000.0))
    call.answer_begins(2, 250.4)
    call.told(e.Interrupted(2, 2000.0, 1900.0, "We are"))
    view = call.view()
    assert (view.turns, view.barge_ins, view.latency_ms, view.audio_ms) == (1, 1, 650, 250)
    assert msgspec.to_builtins(call.latencies) == {"turn": 1, "silence_ms": 400, "audio_ms": 250, "latency_ms": 650}


def test_words_only_where_the_log_has_them() -> None:
    for words in (True, False):
        call = live_call(log=LogSettings(words=words))
        call.told(e.Said("caller", "<b>hello</b>\x00", False, 1000.4))
        call.hears(e.Partial(3, "when are"), private=False)
        text = "<b>hello</b>\ufffd" if words else ""
        assert call.turns_since(0) == [{"role": "caller", "text": text, "interrupted": False, "at_ms": 1000}]
        assert (call.view().last is not None) == words
        assert call.partial == ((3, "when are") if words else (0, ""))


def test_what_is_private_is_hidden() -> None:
    call = live_call(recorded=True)
    call.told(e.Said("caller", "hello", False, 1.0))
    assert call.view().recording is True
    call.switched(private=True)
    call.hears(e.Partial(3, "four seven"), private=True)
    view = call.view()
    assert (view.private, view.recording, view.last) == (True, False, None)
    assert call.partial == (3, HIDDEN)


def test_who_looks_later_is_shown_the_last_ones() -> None:
    call = live_call()
    for number in range(KEPT + 7):
        call.told(e.Said("caller", str(number), False, 1.0))
        call.acted(Act(number, "Ann", "say"))
    assert len(call.turns_since(0)) == KEPT
    assert [turn["text"] for turn in call.turns_since(KEPT + 5)] == [str(KEPT + 5), str(KEPT + 6)]
    assert [act.at for act in call.acts_since(KEPT + 6)] == [KEPT + 6]
    assert call.turns_since(KEPT + 7) == []


def test_nothing_is_done_for_its_audio_until_somebody_wants_it() -> None:
    call = live_call()
    line = call.line
    assert isinstance(line, Line)
    assert not (call.watched or line.reports)
    call.view()
    assert not (call.watched or line.reports)
    one, other = call.listen(), call.listen()
    assert call.watched
    assert line.reports
    call.leave(one)
    assert call.watched
    call.leave(other)
    assert not (call.watched or line.reports)
    call.speak(bytes(320))
    assert call.watched
    assert not line.reports
    call.fall_silent()
    assert not call.watched


def test_a_recorded_call_goes_on_reporting() -> None:
    call = live_call(recorded=True)
    line = call.line
    assert isinstance(line, Line)
    line.reports = True
    call.leave(call.listen())
    assert line.reports


def test_levels_are_those_of_both_sides() -> None:
    call = live_call()
    line = call.line
    assert isinstance(line, Line)
    for _ in range(12):
        call.session.handle(e.CallerAudio(b"\x00\x40" * 160))
    line.playing = b"\x00\x20" * 160
    assert call.view().level == Level(-6, -12)
    call.session.handle(e.Held())
    line.playing = b""
    assert call.view().level == Level(SILENCE_DB, SILENCE_DB)


def test_how_it_ended() -> None:
    call = live_call()
    end(call, "operator")
    assert call.end() == {"id": call.id, "ended_by": "operator", "reason": "over"}
