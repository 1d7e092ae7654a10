"""Findings, for people and for programs."""

import json

from telephony.doctor.finding import Finding, as_json, as_text

FINDINGS = [
    Finding("ok", "sip", "UDP 127.0.0.1:5060: free to listen on"),
    Finding("warning", "sip", "no transport is encrypted", "add tls to sip.transports"),
    Finding("problem", "files", "the disk is full", "make room"),
]


def test_people_see_one_line_each_by_area_with_advice_and_a_count() -> None:
    assert as_text(FINDINGS).splitlines() == [
        "sip",
        "  ok       UDP 127.0.0.1:5060: free to listen on",
        "  warning  no transport is encrypted",
        "           → add tls to sip.transports",
        "",
        "files",
        "  problem  the disk is full",
        "           → make room",
        "",
        "problems: 1, warnings: 1",
    ]


def test_programs_get_everything_and_whether_there_is_a_problem() -> None:
    told = json.loads(as_json(FINDINGS))
    assert told["ok"] is False
    assert [finding["level"] for finding in told["findings"]] == ["ok", "warning", "problem"]
    assert told["findings"][1]["advice"] == "add tls to sip.transports"
    assert json.loads(as_json(FINDINGS[:2]))["ok"] is True
