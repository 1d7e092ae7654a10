"""Secret slots in a dialogue: asked for, never said, hidden from all but the tool."""

from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from agent.engine.base import HIDDEN, Cue
from config.agent import AgentSettings
from tests.agent.engine.embedded.plain_caller import PlainCaller

PAY: dict[str, Any] = {
    "phrases": ["pay [{amount}]"],
    "ask": {"card": "Your card number?", "pin": "Your PIN?", "amount": "How much?"},
    "confirm": "Pay {amount}?",
    "correct": "What is wrong?",
    "tool": "pay",
    "answer": "Paid {amount}.",
}
SLOTS: dict[str, Any] = {
    "card": {"digits": "6-8", "secret": True, "called": ["card number"]},
    "pin": {"digits": 4, "secret": True},
    "amount": {"values": {"ten pounds": [], "twenty pounds": []}},
}


def bank(slots: dict[str, Any] | None = None, answers: tuple[str, ...] = (), **intents: Any) -> PlainCaller:
    """A bank that takes payments."""
    parameters = {"card": "its number", "pin": "its PIN", "amount": "how much"}
    agent = {
        "name": "bank",
        "tools": {"pay": {"file": "payments.jsonl", "parameters": parameters}},
        "dialogue": {
            "texts": {"greeting": "Hello."},
            "slots": slots or SLOTS,
            "intents": {"pay": PAY} | intents,
            "answers": answers,
        },
    }
    call = PlainCaller(AgentSettings.model_validate(agent))
    call.ask(Cue.GREET)
    return call


def shown(call: PlainCaller) -> str:
    """The state without its secrets, as a tape has it."""
    return msgspec.json.encode({key: value for key, value in call.state.items() if key != "secrets"}).decode()


def test_a_secret_is_private_while_it_is_asked_for_and_hidden_afterwards() -> None:
    call = bank()
    assert not call.done.secret
    assert call.says("pay twenty pounds") == "Your card number?"
    assert call.done.secret
    assert call.dials("12345678") == "Your PIN?"
    assert call.done.secret
    assert "12345678" not in shown(call)
    assert call.says("four seven one one") == "Pay twenty pounds?"
    assert "4711" not in shown(call)
    assert call.state["slots"] == {"amount": "twenty pounds", "card": HIDDEN, "pin": HIDDEN}
    assert call.says("yes").startswith("Paid twenty pounds.")
    assert not call.done.secret
    assert call.state["secrets"] == {}
    (tool,) = call.tools
    assert tool.arguments == {"card": HIDDEN, "pin": HIDDEN, "amount": "twenty pounds"}
    assert tool.secrets == {"card": "12345678", "pin": "4711"}


def test_parts_of_it_are_not_said() -> None:
    call = bank()
    call.says("pay twenty pounds")
    assert call.says("one two three") == "And then?"
    assert call.done.secret
    assert call.says("four five six seven eight") == "Your PIN?"
    assert call.state["secrets"] == {"card": "12345678"}


def test_while_more_digits_may_come_it_stays_private() -> None:
    call = bank(
        {"card": SLOTS["card"], "pin": SLOTS["pin"], "amount": SLOTS["amount"]},
        pay=PAY | {"ask": {"pin": "Your PIN?", "card": "Your card number?", "amount": "How much?"}},
    )
    call.says("pay")
    call.dials("4711")
    assert call.says("one two three four five six") == "How much?"
    assert call.done.secret
    assert call.says("seven eight") == "How much?"
    assert call.state["secrets"]["card"] == "12345678"
    assert not call.done.secret


def test_a_read_back_of_the_rest_is_private_since_callers_may_correct_it_all() -> None:
    call = bank()
    call.says("pay twenty pounds")
    call.dials("12345678")
    call.dials("4711")
    assert call.done.secret
    assert call.says("no") == "What is wrong?"
    assert call.done.secret
    assert call.says("the card number is wrong") == "Your card number?"
    assert call.state["secrets"] == {"pin": "4711"}
    call.dials("87654321")
    call.says("yes")
    assert call.tools[0].secrets == {"card": "87654321", "pin": "4711"}


def test_the_same_secret_again_is_no_correction() -> None:
    call = bank()
    call.says("pay twenty pounds")
    call.dials("12345678")
    assert call.dials("4711") == "Pay twenty pounds?"
    assert call.state["slots"]["pin"] == HIDDEN
    call.says("never mind")
    assert call.state["secrets"] == {}


def test_the_next_intent_asks_for_a_secret_anew() -> None:
    more = {"phrases": ["again"], "ask": {"pin": "Your PIN again?", "amount": "How much?"}, "answer": "Done."}
    call = bank(pay={**PAY, "tool": "", "next": "more", "confirm": []} | {"correct": ""}, more=more)
    call.says("pay twenty pounds")
    call.dials("12345678")
    assert call.dials("4711") == "Paid twenty pounds. Your PIN again?"
    assert call.state["slots"] == {"amount": "twenty pounds"}
    assert call.done.secret


def test_an_intent_pauses_the_recording_and_lets_it_go_on() -> None:
    call = bank(
        private={"phrases": ["off the record"], "recording": "pause", "answer": "I am not recording any more."},
        public={"phrases": ["on the record"], "recording": "resume", "answer": "I am recording again."},
    )
    call.says("off the record")
    assert call.done.recording == "pause"
    call.says("pay")
    assert call.done.recording == ""
    call.says("on the record")
    assert call.done.recording == "resume"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"confirm": "Your PIN is {pin}?"}, "{pin} in 'Your PIN is {pin}?' is secret, and is not said"),
        ({"answer": "Paid with {card}."}, "{card} in 'Paid with {card}.' is secret"),
        ({"cases": [{"when": {"slots": {"pin": "4711"}}, "answer": "Hm."}]}, "when.slots.pin: it is secret"),
        ({"phrases": ["pay with {card}"]}, "intents.pay.phrases: {card} is secret, and only asked for"),
    ],
)
def test_what_would_tell_a_secret_is_refused(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError) as error:
        bank(pay=PAY | change)
    assert named in str(error.value)


def test_spelled_words_and_texts_can_be_secret_too() -> None:
    slots = SLOTS | {"card": {"type": "spell", "secret": True}, "pin": {"type": "text", "secret": True}}
    call = bank(slots)
    assert call.says("pay twenty pounds") == "Your card number?"
    assert call.says("m i double l e r") == "Your PIN?"
    assert call.says("the name of my first dog") == "Pay twenty pounds?"
    assert call.state["secrets"] == {"card": "MILLER", "pin": "the name of my first dog"}
    for secret in ("MILLER", "dog"):
        assert secret not in shown(call)
    assert call.says("no, the blue one") != "Pay twenty pounds?"  # not taken for a correction of the text
    assert call.state["secrets"]["pin"] == "the name of my first dog"
