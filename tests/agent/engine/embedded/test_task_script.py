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


TWO = {
    "order": {
        "phrases": ["i want to order [a] [{cake}]"],
        "about": "an order",
        "ask": {"cake": "Which cake?", "name": {"say": "For whom?", "when": {"slots": {"cake": "lemon"}}}},
        "tool": "note",
        "answer": "Noted {cake}.",
    },
    "complain": {
        "phrases": ["i have a complaint"],
        "about": "a complaint",
        "ask": {"name": "Your name?"},
        "answer": "Sorry, {name}.",
    },
    "hours": {"phrases": ["what are your hours"], "answer": "Till noon."},
    "sales": {"phrases": ["put me through to sales"], "answer": "One moment.", "transfer": "sales"},
}


def test_a_plain_question_beside_a_task_is_answered_first() -> None:
    for said in ("I want to order a plum, and what are your hours?", "What are your hours? I want to order a plum."):
        assert shop(**TWO).says(said).startswith("Till noon. Noted plum. Is there anything else")
    call = shop(**TWO)
    assert call.says("Put me through to sales, but what are your hours?") == "Till noon. One moment."
    assert call.done.transfer_to == "sales"


def test_the_second_of_two_tasks_follows_the_first() -> None:
    call = shop(**TWO)
    assert call.says("I have a complaint, and I want to order a cake.") == "Your name?"
    assert call.says("Miller") == "Sorry, Miller. You also asked about an order. Which cake?"
    assert call.says("plum").startswith("Noted plum. Is there anything else")
    assert [tool.arguments for tool in call.tools] == [{"cake": "plum", "name": ""}]


def test_each_of_two_tasks_has_its_own_slots() -> None:
    call = shop(**TWO)
    assert call.says("I want to order a plum. I have a complaint.").endswith(
        "You also asked about a complaint. Your name?"
    )
    call = shop(**TWO, taste={"phrases": ["let me taste [{cake}]"], "ask": {"cake": "Taste which?"}, "answer": "Good."})
    assert call.says("I want to order a cake, and let me taste lemon.") == "Which cake?"
    assert call.says("apple") == "Noted apple. Good. Is there anything else I can do for you?"


def test_whoever_gives_up_the_first_of_two_tasks_gives_up_both() -> None:
    call = shop(**TWO)
    call.says("I have a complaint, and I want to order a cake.")
    assert call.says("never mind").startswith("All right, never mind.")
    call.says("I want to order a plum.")
    assert len(call.tools) == 1
    assert "also" not in call.state["said"]


def test_the_second_of_two_tasks_comes_also_where_the_first_transfer_fails() -> None:
    call = shop(**TWO)
    assert call.says("Put me through to sales, and I want to order a cake.") == "One moment."
    assert call.ask(Cue.UNREACHED) == "You also asked about an order. Which cake?"


def test_of_two_wishes_one_that_is_denied_counts_for_nothing() -> None:
    assert shop(**TWO).says("I don't want to order a cake. I have a complaint.") == "Your name?"
    call = shop(**TWO)
    call.says("I don't want to order a cake. I have a complaint.")
    assert call.says("Miller").startswith("Sorry, Miller. Is there anything else")
