"""By which words a call is found."""

from telephony.records.call_record import ToolRun
from telephony.records.terms import MAX_TERMS, terms, words
from tests.telephony.records.calls import call, said


def test_words_are_compared_without_case() -> None:
    assert words("Straße, GRÜSSE: don't") == ["strasse", "grüsse", "don", "t"]


def test_a_call_is_found_by_what_was_said_and_by_its_end() -> None:
    found = terms(
        call(transcript=said("Book a TABLE"), reason="the caller hung up", outcome="hangup", caller_name="Ann")
    )
    assert {"book", "table", "ann", "hung", "hangup", "desk", "twilio", "ca1"} <= set(found)


def test_a_number_is_found_by_its_last_digits() -> None:
    found = set(terms(call(caller="+1 (555) 010-0123", called="sip:bob@example.com", transfer="*********777")))
    assert {"123", "0123", "0100123", "bob", "777"} <= found


def test_a_tool_is_found_by_its_name_and_arguments() -> None:
    assert {"book", "noon"} <= set(terms(call(tools=(ToolRun("book", 0, True, {"time": "noon"}),))))


def test_the_words_of_a_call_are_bounded() -> None:
    assert len(terms(call(transcript=said(" ".join(map(str, range(5000))))))) == MAX_TERMS
    assert max(map(len, words("x" * 1000))) == 64
