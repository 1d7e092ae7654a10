"""What callers cannot get to."""

from tests.agent.dialogue_check.dialogues import found

SLOTS = {"day": {"values": {"Monday": [], "Tuesday": []}}, "number": {"digits": 2}, "note": "text", "sure": "yes_no"}
BOOK = {"phrases": ["book [on {day}]"], "ask": {"day": "Which?"}, "confirm": "On {day}?", "answer": "Yes."}


def problems(*arguments: object, **more: object) -> dict[str, str]:
    """The problems by their key, but for words that are shared."""
    findings = found(*arguments, **more)  # type: ignore[arg-type]
    return {each.key: each.text for each in findings if each.level == "problem" and "is a phrase of" not in each.text}


def test_all_kinds_of_slots_can_be_filled() -> None:
    slots = SLOTS | {"when": "date", "at": "time", "code": "spell"}
    ask = dict.fromkeys(slots, "Which?")
    assert found({"a": {"phrases": ["book"], "ask": ask, "confirm": "Yes?", "answer": "A."}}, slots=slots) == []


def test_a_phrase_that_leads_elsewhere() -> None:
    intents = {
        "a": {"phrases": ["opening hours"], "answer": "A."},
        "b": {"phrases": ["when are you open", "[the] opening hours", "opening hours"], "answer": "B."},
    }
    key = "dialogue.intents.b.phrases[2]"
    assert problems(intents) == {key: 'cannot be reached by this phrase: "opening hours" is understood as a'}


def test_a_phrase_that_means_nothing() -> None:
    intents = {"a": {"phrases": ["room one {number}", "a room"], "ask": {"number": "Which?"}, "answer": "A."}}
    [(key, text)] = problems(intents, slots={"number": {"digits": 2}}).items()
    assert key == "dialogue.intents.a.phrases[0]"
    assert text.endswith("means nothing to the dialogue")


def test_an_answer_that_is_taken_for_another_wish() -> None:
    other = {"phrases": ["[on] {day}"], "ask": {"day": "Which?"}, "answer": "B."}
    told = problems({"book": BOOK, "b": other}, slots={"day": SLOTS["day"]}, answers=["[on] {day}"])
    assert told.keys() == {"dialogue.intents.book.ask.day"}
    assert "is understood as b, day = " in told["dialogue.intents.book.ask.day"]


def test_the_second_of_two_slots_that_cannot_be_corrected() -> None:
    slots = {"start": {"digits": 2}, "end": {"digits": 2}}
    book = {"phrases": ["book"], "ask": dict.fromkeys(slots, "Which?"), "confirm": "Yes?", "answer": "A."}
    assert problems({"book": book}, slots=slots) == {}
    told = problems({"book": book}, slots=slots, answers=["{start}", "{end}"])
    assert told.keys() == {"dialogue.intents.book.confirm"}
    assert told["dialogue.intents.book.confirm"].startswith("callers cannot correct {end}: ")
