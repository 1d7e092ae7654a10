"""What the agent says."""

import pytest

from tests.agent.dialogue_check.dialogues import found

HOURS = {"phrases": ["opening hours"], "answer": "Nine."}
DAY = {"day": {"values": {"Monday": []}}}


def test_texts_that_are_never_said() -> None:
    texts = {"person": "One moment.", "way_out": "Sorry.", "nobody": "Nobody."}
    keys = ["dialogue.texts.person", "dialogue.texts.way_out"]
    assert [finding.key for finding in found({"a": HOURS}, texts=texts)] == keys
    transfer = {"transfers": {"desk": "+15550100199"}, "person": "desk"}
    assert found({"a": HOURS}, texts=texts, **transfer) == []
    texts = {"did_you_mean": "{this}?", "which": "{this} or {that}?", "unreached": "Nobody is there."}
    about, put_through = HOURS | {"about": "our hours"}, {"phrases": ["reception"], "transfer": "desk"}
    transfers = {"desk": "+15550100199"}
    assert [finding.key for finding in found({"a": about}, texts=texts)] == [
        "dialogue.texts.unreached", "dialogue.texts.which",
    ]  # fmt: skip
    two = {"a": about, "b": put_through | {"about": "a call"}}
    assert [each for each in found(two, texts=texts, transfers=transfers) if "never said" in each.text] == []
    told = found({"a": HOURS | {"failed": "No."}})
    assert [finding.key for finding in told] == ["dialogue.intents.a.failed"]
    book = HOURS | {"ask": {"day": "Which?"}, "correct": "What then?"}
    assert [finding.key for finding in found({"a": book}, slots=DAY)] == ["dialogue.intents.a.correct"]
    case = {"when": {"caller": True}, "confirm": "{day}?"}
    assert found({"a": book | {"cases": [case]}}, slots=DAY) == []
    assert [finding.key for finding in found({"a": HOURS}, slots=DAY)] == ["dialogue.slots.day"]


def test_fields_that_nothing_fills() -> None:
    texts = {
        "greeting": "Hello {caller_name}, {you}.",
        "part": ["{heard}. And?", "So far {heard}."],
        "help": "{heard}?",
    }
    assert [(finding.level, finding.key, finding.text) for finding in found({"a": HOURS}, texts=texts)] == [
        ("problem", "dialogue.texts.greeting", "{you} is never filled in here"),
        ("problem", "dialogue.texts.help", "{heard} is never filled in here"),
    ]


@pytest.mark.parametrize("text", ["Hé, it's “10 %” – £5, 20 °C, #1 & co. ☎️"[:-3], "No 5 at 3:00 p.m.!\n", "½ €"])
def test_what_voices_can_say(text: str) -> None:
    assert found({"a": HOURS}, texts={"greeting": text}) == []


@pytest.mark.parametrize(
    ("language", "text", "named"),
    [
        ("en-us", "Hello 😀", "'😀' (GRINNING FACE)"),
        ("en-us", "Привет", "'П' (CYRILLIC CAPITAL LETTER PE)"),
        ("en-gb", "a\x07b", "'\\x07' (a control character)"),
    ],
)
def test_what_they_cannot(language: str, text: str, named: str) -> None:
    [warning] = found({"a": HOURS | {"answer": text}}, language=language)
    assert (warning.level, warning.key) == ("warning", "dialogue.intents.a.answer")
    assert warning.text.startswith(f"voices for {language} cannot say {named}")
    assert found({"a": HOURS}, texts={"greeting": "Привет"}, language="ru") == []
