"""What is collected of one call, from what its line and its session tell."""

from collections.abc import Callable
from typing import Any

import pytest

from agent import events as e
from agent.engine.base import Cue, ToolResult
from config.parties import Numbers, Parties
from telephony.lines.ending import End, Ending, Transfer
from telephony.records.call_log import MAX_ACTS, MAX_TURNS, CallLog, carrier_id, first_state, latencies, percentile
from telephony.records.call_record import Act, CallRecord, Turn
from telephony.records.text import clean
from tests.telephony.records.calls import NASTY
from tests.telephony.server.quiet_line import QuietLine

ANN = Parties("+15550100123", "+15550100199", "Ann", ids={"sip_call": "abc@10.0.0.7"})
Make = Callable[..., tuple[CallLog, list[CallRecord]]]


@pytest.fixture
def begin() -> Make:
    """Begins a call; gives its log, and the states that were put."""

    def make(
        *, words: bool = True, numbers: Numbers = "full", parties: Parties = ANN
    ) -> tuple[CallLog, list[CallRecord]]:
        line, states = QuietLine("CA1"), []
        line.parties = parties
        first = first_state(line, "desk", numbers, 1000, id=7, host="here", run="run", tape="tape.jsonl.gz")
        log = CallLog(first, states.append, words=words, numbers=numbers)
        log.begun()
        return log, states

    return make


def end(log: CallLog, at_ms: int = 9000, planned: Any = None, **fields: Any) -> None:
    ending = Ending()
    ending.finish(End(**({"reason": "the caller hung up", "by": "caller"} | fields)), planned)
    log.ended(ending, {"frames": 400, "gaps": 2, "gap_milliseconds": 80, "unknown": 1}, 8000, at_ms)


def test_every_step_is_put_with_a_number_of_its_own(begin: Make) -> None:
    log, states = begin()
    log.answered(1500)
    log.told(e.Said("agent", "Hello", False, 0), 2000)
    end(log)
    assert [state.seq for state in states] == [1, 2, 3, 4]
    assert [state.status for state in states] == ["active", "active", "active", "ended"]
    assert [state.updated for state in states] == [1000, 1500, 2000, 9000]
    last = states[-1]
    assert (last.started, last.answered, last.ended) == (1000, 1500, 9000)
    assert (last.ended_by, last.reason, last.outcome) == ("caller", "the caller hung up", "hangup")
    assert (last.frames, last.gaps, last.gap_ms, last.media_ms, last.loss) == (400, 2, 80, 8000, 0.01)
    assert (last.tape, last.recording, last.agent, last.line) == ("tape.jsonl.gz", "", "desk", "quiet")
    assert last.transcript == (Turn("agent", "Hello", 0),)


def test_latency_is_from_the_last_speech_to_the_first_audio(begin: Make) -> None:
    log, states = begin()
    log.told(e.TurnDecided(1, Cue.GREET, 0, 0), 1000)
    log.answer_begins(1, 50)
    for reply, took_ms in ((2, 100), (3, 700), (4, 200)):
        log.told(e.TurnDecided(reply, Cue.ANSWER, 5000, 4600), 1000)
        log.answer_begins(reply, took_ms)
        log.answer_begins(reply, 9999)
    end(log)
    last = states[-1]
    assert (last.turns, last.latency_p50, last.latency_p95) == (3, 600, 1100)
    assert (last.latency_max, last.latency_worst_turn) == (1100, 2)


def test_barge_ins_and_resumes_are_counted(begin: Make) -> None:
    log, states = begin()
    for command in (
        e.Pause(1, 100, 50),
        e.Resume(1),
        e.Pause(1, 300, None),  # a hold
        e.Resume(1),
        e.Pause(1, 400, 350),
        e.Interrupted(1, 400, 350, "Hel"),
    ):
        log.told(command, 1000)
    end(log)
    assert (states[-1].barge_ins, states[-1].resumes) == (1, 1)


def test_without_words_nothing_that_was_said_is_kept(begin: Make) -> None:
    log, states = begin(words=False)
    log.told(e.Said("caller", "secret", False, 0), 1000)
    log.ran(ToolResult("book", {"name": "secret"}, {"ok": "secret"}, "secret"), 10, 1000)
    end(log)
    assert "secret" not in repr(states)
    assert [(tool.name, tool.ok) for tool in states[-1].tools] == [("book", False)]


def test_a_tool_is_kept_with_what_came_of_it(begin: Make) -> None:
    log, states = begin()
    log.ran(ToolResult("book", {"name": "Ann"}, {"ok": True}), 10.4, 1000)
    log.ran(ToolResult("book", {"name": "x" * 9000}, error="the disk is full"), 20, 1000)
    first, second = states[-1].tools
    assert (first.name, first.at_ms, first.ok, first.arguments, first.result) == (
        "book",
        10,
        True,
        {"name": "Ann"},
        {"ok": True},
    )
    assert (second.ok, second.error) == (False, "the disk is full")
    assert len(second.arguments["name"]) == 4000


@pytest.mark.parametrize(
    ("numbers", "caller", "name", "transfer", "carrier"),
    [
        ("full", "+15550100123", "Ann", "+15550100777", "abc@10.0.0.7"),
        ("masked", "*********123", "", "*********777", "abc@10.0.0.7"),
        ("off", "", "", "", "abc"),
    ],
)
def test_numbers_are_kept_as_far_as_the_setting_allows(  # noqa: PLR0917 (parameters)
    begin: Make, numbers: Numbers, caller: str, name: str, transfer: str, carrier: str
) -> None:
    log, states = begin(numbers=numbers)
    log.told(e.Transfer("+15550100777"), 1000)
    end(log, planned=Transfer("+15550100777"), reason="transferred", by="agent")
    last = states[-1]
    assert (last.caller, last.caller_name, last.transfer, last.carrier_id) == (caller, name, transfer, carrier)
    assert last.outcome == "transfer"
    assert (numbers == "full") == ("0100123" in repr(states))


def test_acts_are_kept_clean_and_bounded(begin: Make) -> None:
    log, states = begin()
    assert log.id == 7
    log.acted(Act(2000, "Ann\x00", "say", {"text": NASTY}))
    [kept] = states[-1].acts
    assert (kept.who, kept.details, states[-1].updated) == ("Ann\ufffd", {"text": clean(NASTY)}, 2000)
    for number in range(MAX_ACTS + 5):
        log.acted(Act(number, "Ann", "say"))
    assert len(states[-1].acts) == MAX_ACTS


def test_the_carriers_own_id_is_the_calls_if_there_is_no_other() -> None:
    assert carrier_id("CA1", Parties(), "full") == "CA1"


def test_a_call_that_ends_without_an_end_has_failed(begin: Make) -> None:
    log, states = begin()
    log.ended(Ending(), {}, 0, 2000)
    assert (states[-1].outcome, states[-1].ended_by, states[-1].loss) == ("failed", "server", 0.0)


def test_strangers_text_is_clean_and_bounded(begin: Make) -> None:
    log, states = begin(parties=Parties(caller=NASTY, caller_name=NASTY, ids={"sip_call": NASTY}))
    for _ in range(MAX_TURNS + 5):
        log.told(e.Said("caller", "\ud800" + "x" * 9000, False, 0), 1000)
    end(log, reason=NASTY)
    last = states[-1]
    assert sum(len(turn.text) for turn in last.transcript) <= 200_000
    assert repr(last).encode()
    for text in (last.caller, last.caller_name, last.carrier_id, last.reason, last.transcript[0].text):
        assert "\x00" not in text
        assert text.encode()


def test_percentiles_are_values_that_were_measured() -> None:
    values = list(range(1, 101))
    assert [percentile(values, percent) for percent in (50, 95, 100)] == [50, 95, 100]
    assert percentile([7], 50) == percentile([7], 95) == 7
    assert latencies([]) == {}


@pytest.mark.parametrize("hooked", [True, False])
def test_what_the_dialogue_has_filled_is_kept_for_hooks_only(hooked: bool) -> None:
    states: list[CallRecord] = []
    first = first_state(QuietLine("CA1"), "desk", "full", 1000, id=7, host="here", run="run")
    log = CallLog(first, states.append, words=False, numbers="full", hooked=hooked)
    log.filled = filled = {"day": "Friday"}
    log.begun()
    log.answered(1500)
    filled["name"] = NASTY
    end(log)
    assert states[1].fields == ({"day": "Friday"} if hooked else {})
    assert states[2].fields == ({"day": "Friday", "name": clean(NASTY)} if hooked else {})
    assert states[2].transcript == ()
