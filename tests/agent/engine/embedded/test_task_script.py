"""What is asked and said until a task is done, with a shop made for it."""

from datetime import UTC, datetime

from agent.engine.base import Cue, Next
from tests.agent.engine.embedded.plain_caller import PlainCaller, shop


def test_an_intent_puts_callers_through_to_whom_it_names() -> None:
    sales = {
        "phrases": ["sales"],
        "answer": "One moment.",
        "transfer": "sales",
        "cases": [{"when": {"open": False}, "transfer": "night"}],
    }
    call = shop(sales=sales)
    assert call.says("sales please") == "One moment."
    assert (call.done.next, call.done.transfer_to) == (Next.TRANSFER, "sales")
    late = PlainCaller(call.agent, datetime(2026, 11, 30, 20, tzinfo=UTC))
    assert late.ask(Cue.GREET) == "We are closed."
    late.says("sales")
    assert late.done.transfer_to == "night"


def test_an_intent_leads_to_another_which_takes_its_slots_over() -> None:
    call = shop(
        taste={"phrases": ["taste {cake}"], "ask": {"cake": "Which?"}, "answer": "{cake} is good.", "next": "order"},
        order={
            "phrases": ["order"],
            "ask": {"cake": "Which cake?", "name": "Your name?"},
            "tool": "note",
            "answer": "Noted.",
        },
    )
    assert call.says("taste plum") == "plum is good. Your name?"
    assert call.says("Miller").startswith("Noted. Is there anything else")
    assert [tool.arguments for tool in call.tools] == [{"cake": "plum", "name": "Miller"}]


def test_a_question_is_asked_only_when_it_applies_and_its_tool_gets_an_empty_text_otherwise() -> None:
    call = shop(
        order={
            "phrases": ["order"],
            "ask": {"cake": "Which cake?", "name": {"say": "Your name?", "when": {"slots": {"cake": "plum"}}}},
            "confirm": "{cake} for {name}?",
            "tool": "note",
            "answer": "Noted {cake}.",
        }
    )
    call.says("order")
    assert call.says("apple") == "apple for ?"
    assert call.says("no, plum") == "Your name?"
    assert call.says("no wait") == "Sure. What can I do for you?"
    call.says("Miller")
    call.says("no, apple")
    call.says("yes")
    assert call.tools[0].arguments == {"cake": "apple", "name": "Miller"}


def test_the_third_one_of_a_choice_is_its_third_value() -> None:
    call = shop(order={"phrases": ["order"], "ask": {"cake": "Apple, plum or lemon?"}, "answer": "A {cake} cake."})
    call.says("order")
    assert call.says("the third one, please").startswith("A lemon cake.")
