"""Reports, for people and machines."""

import msgspec

from telephony.simulator.report import CallReport, Distribution, Outcome, Summary, describe, distribution


def make(**fields: object) -> CallReport:
    report = CallReport(script="s", url="u", call_sid="CA", steps=2, steps_done=2, outcome=Outcome.HUNG_UP_BY_AGENT)
    return msgspec.structs.replace(report, **fields)


def test_a_call_is_right_or_wrong() -> None:
    assert make().ok
    assert make(expected="hung_up_by_agent").ok
    assert not make(expected="transferred").ok
    assert not make(steps_done=1).ok
    assert not make(error="broken").ok
    assert not make(steps_done=1, cut_short=True).ok
    assert make(steps_done=1, cut_short=True, outcome=Outcome.HUNG_UP_BY_CALLER).ok


def test_distributions() -> None:
    assert distribution([]) == Distribution()
    assert distribution([3.0]) == Distribution(1, 3.0, 3.0, 3.0, 3.0)
    assert distribution(range(101)) == Distribution(101, 50.0, 95.0, 99.0, 100.0)


def test_a_report_survives_json() -> None:
    report = make(summary=Summary(voice_to_voice_ms=distribution([1.0, 2.0])))
    assert msgspec.json.decode(msgspec.json.encode(report), type=CallReport) == report


def test_a_report_in_words() -> None:
    text = "\n".join(describe(make(error="", transferred_to="+1555", recording="/x/call.wav", keys_heard="104#")))
    assert "keys heard       104#" in text
    assert "keys heard" not in "\n".join(describe(make()))
    assert "hung_up_by_agent to +1555" in text
    assert "2 of 2 steps" in text
    assert "/x/call.wav" in text
    assert "p50 none" in text
