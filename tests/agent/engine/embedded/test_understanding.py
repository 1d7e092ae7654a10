"""What a transcript means at the front desk."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import config
from agent.engine.base import Expect, Meaning
from agent.engine.embedded.likeness import SURE
from agent.engine.embedded.understanding import UNCLEAR, Understanding, Understood
from config.agent import load_agent
from config.dialogue import Dialogue

DESK = load_agent(Path(config.__file__).parent / "agents" / "front_desk.yaml")
assert DESK.dialogue
UNDERSTANDING = Understanding(DESK.dialogue)


@pytest.mark.parametrize(
    ("words", "intent", "built_in", "slots"),
    [
        ("What are your opening hours?", "hours", "", {}),
        ("can you tell me your opening hours please", "hours", "", {}),
        ("where are you", "address", "", {}),
        ("I'd like to book an appointment.", "book", "", {}),
        ("book an appointment on Tuesday at ten", "book", "", {"day": "Tuesday", "time": "ten o'clock"}),
        ("tuesday", "", "", {"day": "Tuesday"}),
        ("ten in the morning", "", "", {"time": "ten o'clock"}),
        ("yes", "", "yes", {}),
        ("no, on Thursday", "", "no", {"day": "Thursday"}),
        ("no no on thursday at nine o'clock please", "", "no", {"day": "Thursday", "time": "nine o'clock"}),
        ("cancel my appointment", "cancel", "", {}),
        ("one two three four", "", "", {"number": "1234"}),
        ("it's nine oh two one", "", "", {"number": "9021"}),
        ("can i speak to a person", "", "person", {}),
        ("say that again please", "", "repeat", {}),
        ("no thanks", "", "no", {}),
        ("thank you very much", "thanks", "", {}),
        ("thank you goodbye", "", "goodbye", {}),
        ("um well where are you please", "address", "", {}),
        ("no wait", "", "stop", {}),
        ("hold on a minute", "", "stop", {}),
        ("sorry on friday", "", "", {"day": "Friday"}),
        ("could i have your address please", "address", "", {}),
        ("can you give me your opening hours", "hours", "", {}),
        ("we have to cancel our appointment", "", "", {}),  # no phrase has "our"
        ("we have to cancel the appointment", "cancel", "", {}),
        ("no goodbye", "", "goodbye", {}),
        ("no thank you bye bye", "", "goodbye", {}),
    ],
)
def test_what_callers_say(words: str, intent: str, built_in: str, slots: dict[str, str]) -> None:
    assert UNDERSTANDING.read(words) == Understood(intent, built_in, slots)


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        (
            "I've chipped something, and I need to book an appointment on Monday.",
            Understood("book", slots={"day": "Monday"}),
        ),
        ("My son is here with me. Can I speak to a person?", Understood(built_in="person")),
        ("Nobody answers the door, what are your opening hours?", Understood("hours")),
        (
            "What are your opening hours, we got a bit lost on the way, and where are you?",
            Understood("hours", second=Understood("address")),
        ),  # two wishes, and strange words
        ("He said to me, cancel it.", Understood()),  # two words may be by accident
        ("It's a nice day, thank you very much.", Understood()),
        ("The film was awful, and yes, that's right.", Understood()),
        ("I will not cancel my appointment on the phone again, you know that well.", Understood()),
    ],
)
def test_one_clause_may_say_it_all(said: str, understood: Understood) -> None:
    assert UNDERSTANDING.read(said) == understood


@pytest.mark.parametrize(
    ("said", "slots"),
    [
        ("the children are free on Monday at ten o'clock", {"day": "Monday", "time": "ten o'clock"}),
        ("Monday is when I tidy up, Tuesday is free", {}),
        ("not on Monday at ten o'clock I think", {}),
        ("ten of us and 1234 others", {}),
        ("nothing", {}),
    ],
)
def test_slots_are_found_beside_strange_words(said: str, slots: dict[str, str]) -> None:
    assert UNDERSTANDING.slots_beside(said) == slots


@pytest.mark.parametrize(
    "words",
    [
        "",
        "the weather is lovely",
        "one two three",
        "one two three four five",
        "uh huh",
        "mhm",
        "okay",
        "i see",
        "please three eight you that for me",
        "hello is it eleven all pardon to wrong thursday tell me sure to the else close",
    ],
)
def test_what_strangers_say(words: str) -> None:
    assert not UNDERSTANDING.read(words)


def test_who_corrects_himself_means_the_later_one() -> None:
    assert UNDERSTANDING.read("on monday on tuesday").slots == {"day": "Tuesday"}


@given(st.lists(st.sampled_from("yes no book an appointment on monday at ten oh one please never mind the".split())))
def test_anything_can_be_read_and_reading_is_repeatable(words: list[str]) -> None:
    text = " ".join(words)
    understood = UNDERSTANDING.read(text)
    assert UNDERSTANDING.read(text) == understood
    assert set(understood.slots) <= set(DESK.dialogue.slots if DESK.dialogue else ())


@pytest.mark.parametrize(
    ("words", "partial", "final"),
    [
        ("", Meaning.NOTHING, Meaning.NOTHING),
        ("uh huh", Meaning.BACKCHANNEL, Meaning.BACKCHANNEL),
        ("mhm mhm", Meaning.BACKCHANNEL, Meaning.BACKCHANNEL),
        ("okay yeah i see", Meaning.BACKCHANNEL, Meaning.BACKCHANNEL),
        ("yes", Meaning.TURN, Meaning.TURN),
        ("no", Meaning.TURN, Meaning.TURN),
        ("stop", Meaning.TURN, Meaning.TURN),
        ("excuse me", Meaning.TURN, Meaning.TURN),
        ("okay on tuesday", Meaning.TURN, Meaning.TURN),
        ("no wait that's not what i meant", Meaning.TURN, Meaning.TURN),
        ("what are", Meaning.NOTHING, Meaning.NOTHING),
        ("what are your", Meaning.TURN, Meaning.NOTHING),
        ("actually can i", Meaning.TURN, Meaning.NOTHING),
        ("can i how", Meaning.NOTHING, Meaning.NOTHING),
        ("little on tuesday at ten", Meaning.NOTHING, Meaning.TURN),
        ("we could take the early train", Meaning.NOTHING, Meaning.NOTHING),
        ("um", Meaning.NOTHING, Meaning.NOTHING),
    ],
)
def test_what_speech_over_the_agent_is_good_for(words: str, partial: Meaning, final: Meaning) -> None:
    assert UNDERSTANDING.meaning(words, Expect.OPEN, over=True, final=False) is partial
    assert UNDERSTANDING.meaning(words, Expect.OPEN, over=True) is final


def test_okay_is_a_yes_to_a_question_and_yeah_one_after_the_agent() -> None:
    assert UNDERSTANDING.meaning("okay", Expect.YES_NO, over=True) is Meaning.TURN
    assert UNDERSTANDING.meaning("uh huh", Expect.YES_NO, over=True) is Meaning.BACKCHANNEL
    assert UNDERSTANDING.meaning("yeah", Expect.OPEN, over=True) is Meaning.BACKCHANNEL
    assert UNDERSTANDING.meaning("yeah", Expect.OPEN) is Meaning.TURN
    assert UNDERSTANDING.meaning("okay", Expect.OPEN) is Meaning.BACKCHANNEL


@given(st.lists(st.sampled_from("yes no book an appointment on monday at ten oh one please can i um uh huh".split())))
def test_meaning_and_completeness_fit_what_is_read(words: list[str]) -> None:
    text = " ".join(words)
    complete = UNDERSTANDING.complete(text, Expect.OPEN)
    if complete:
        assert UNDERSTANDING.read(text)
    if UNDERSTANDING.meaning(text, Expect.OPEN) is Meaning.NOTHING:
        assert not UNDERSTANDING.read(text)


def test_a_polite_word_over_the_agent_does_not_stop_it() -> None:
    for words in ("please", "thanks", "thank you very much", "okay thanks"):
        assert UNDERSTANDING.meaning(words, Expect.OPEN, over=True) is Meaning.BACKCHANNEL, words
    assert UNDERSTANDING.meaning("no thanks", Expect.OPEN, over=True) is Meaning.TURN
    assert UNDERSTANDING.meaning("goodbye please", Expect.OPEN, over=True) is Meaning.TURN


@pytest.mark.parametrize("words", ["the first one", "the first one is wrong", "not the time"])
def test_a_correction_is_one_only_after_a_read_back(words: str) -> None:
    for final in (True, False):
        assert UNDERSTANDING.meaning(words, Expect.OPEN, over=True, final=final) is Meaning.NOTHING
        assert UNDERSTANDING.meaning(words, Expect.YES_NO, over=True, final=final) is Meaning.TURN
    assert UNDERSTANDING.complete("the first", Expect.OPEN) is None
    assert UNDERSTANDING.complete("the first", Expect.YES_NO) is False


@pytest.mark.parametrize("words", ["yes no", "no yes", "yes yes yes no um", "no that's right"])
def test_yes_and_no_at_once_is_a_turn_that_is_neither(words: str) -> None:
    assert UNDERSTANDING.read(words) == Understood(built_in=UNCLEAR)
    assert UNDERSTANDING.meaning(words, Expect.YES_NO) is Meaning.TURN


@pytest.mark.parametrize(
    ("said", "expect", "complete"),
    [
        ("Hang on, it's four seven, one nine.", Expect.DIGITS, True),
        ("Hang on, it's four seven.", Expect.DIGITS, False),
        ("Four seven one nine, I was told by your colleague.", Expect.DIGITS, None),
        ("What suits me best is probably eleven thirty.", Expect.TIME, True),
        ("Eleven thirty on the dot if the bus comes early.", Expect.TIME, None),
    ],
)
def test_the_answer_among_words_that_say_nothing_is_all_of_it(said: str, expect: Expect, complete: bool | None) -> None:
    slots = {"at": {"type": "time"}, "number": {"digits": 4}}
    intents = {"a": {"phrases": ["place an order"], "ask": {"at": "When?", "number": "Which?"}, "answer": "Done."}}
    dialogue = Dialogue.model_validate({"texts": {"greeting": "Hello."}, "slots": slots, "intents": intents})
    assert Understanding(dialogue).complete(said, expect, (4, 4)) is complete


def test_a_wish_in_one_clause_takes_what_the_others_say_of_it() -> None:
    understood = UNDERSTANDING.read("I'd like to cancel my appointment, I lost the card, the number is 1234.")
    assert understood == Understood("cancel", slots={"number": "1234"})
    assert UNDERSTANDING.meaning("I lost my card, where is your office?", Expect.OPEN) is Meaning.TURN
    assert UNDERSTANDING.meaning("I lost my card, where is your office?", Expect.OPEN, over=True) is Meaning.NOTHING
    assert UNDERSTANDING.may_go_on("My tooth came out last night, I need to book an appointment", Expect.OPEN)
    assert not UNDERSTANDING.may_go_on("I lost my card, where is your office?", Expect.OPEN)


@pytest.mark.parametrize(
    "said",
    [
        "Please don't cancel my appointment number one two three four.",
        "I do not want to book an appointment on Monday at ten o'clock.",
        "I never said it, and I don't need to cancel my appointment.",
        "I am not sure I want to cancel my appointment.",
        "It is not possible to cancel my appointment online.",
        "You can't just cancel my appointment.",
        "My friend wants to cancel my appointment, but I want to keep it.",
        "I have an appointment on Monday at nine, and I will be late.",
        "I was trying to talk to someone, but nobody answered.",
        "Do I need an appointment?",
        "Hi, do we still have to book an appointment?",
        "Will I need to cancel my appointment then?",
    ],
)
def test_what_the_caller_does_not_wish_is_not_done(said: str) -> None:
    assert not UNDERSTANDING.read(said)
    assert all(score < SURE for _, score in UNDERSTANDING.guess(said))


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ("I'd like to cancel my appointment, I was born in 1984.", Understood("cancel")),
        ("I'd like to cancel my appointment, I live at 1234 Oak Street.", Understood("cancel")),
        (
            "Cancel my appointment, the number is 1234. My phone is 5678.",
            Understood("cancel", slots={"number": "1234"}),
        ),
        ("We went there on Monday with the dog, and I need an appointment.", Understood("book")),
        ("I'd like to see a dentist. Monday doesn't work for me.", Understood("book")),
        (
            "If you are closed on Friday, I need an appointment on Thursday.",
            Understood("book", slots={"day": "Thursday"}),
        ),
    ],
)
def test_of_other_clauses_only_whole_answers_count(said: str, understood: Understood) -> None:
    assert UNDERSTANDING.read(said) == understood


@pytest.mark.parametrize(
    "said",
    [
        "that's right, but I'm afraid I need to keep it",
        "yes, but is there any way you can move it",
        "yes, I just wanted to know if it costs something",
        "do you think it will be okay?",
        "I'd like to ask if that is right",
        "I was wondering if that is correct",
        "I'm not sure, but I think that would be okay",
        "I think it would be okay, but let me ask my wife",
    ],
)
def test_doubt_is_no_yes(said: str) -> None:
    assert UNDERSTANDING.read(said, Expect.YES_NO).built_in != "yes"


@pytest.mark.parametrize("over", [False, True])
def test_over_the_agent_what_leads_up_to_a_wish_counts_like_other_words(over: bool) -> None:
    said = "but is there any chance that we could have an appointment because"
    assert UNDERSTANDING.meaning(said, Expect.OPEN, over=over) is (Meaning.NOTHING if over else Meaning.TURN)
