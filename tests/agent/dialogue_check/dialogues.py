"""Small agents with dialogues, written down or drawn at random."""

from typing import Any

from hypothesis import strategies as st

from agent.dialogue_check import check
from agent.dialogue_check.finding import Finding
from config.agent import AgentSettings

WORDS = ["open", "hours", "yes", "no", "book", "monday", "please", "one", "oh", "the", "xyzzyx", "stop"]


def agent(intents: dict[str, Any], *, texts: dict[str, Any] | None = None, **more: Any) -> AgentSettings:
    """An agent; `more` are keys of its dialogue, tools and transfers of its own."""
    mine = {key: more.pop(key) for key in ("tools", "transfers", "language") if key in more}
    dialogue = {"texts": {"greeting": "Hello."} | (texts or {}), "intents": intents, **more}
    return AgentSettings.model_validate({"name": "a", "dialogue": dialogue, **mine})


def found(intents: dict[str, Any], **more: Any) -> list[Finding]:
    """All findings about such an agent."""
    return list(check(agent(intents, **more)))


def phrases(slots: list[str]) -> st.SearchStrategy[str]:
    """Phrases with these slots."""
    part = st.sampled_from([*WORDS, *(f"{{{slot}}}" for slot in slots)])
    some = st.lists(part, min_size=1, max_size=3).map(" ".join)
    nested = st.recursive(
        some,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(lambda two: f"({two[0]} | {two[1]}) {two[0]}"),
            st.tuples(inner, inner).map(lambda two: f"[{two[0]}] {two[1]}"),
        ),
        max_leaves=4,
    )
    return st.tuples(st.sampled_from(WORDS), nested).map(" ".join)


@st.composite
def agents(draw: st.DrawFn) -> AgentSettings:
    """Any valid agent with a dialogue."""
    ways = st.lists(phrases([]), max_size=2)
    slots: dict[str, Any] = {
        "day": {"values": draw(st.dictionaries(st.sampled_from(WORDS), ways, min_size=1, max_size=3))},
        "number": draw(st.sampled_from([{"digits": 2}, {"digits": "2-4"}, "date", "time", "spell"])),
        "note": draw(st.sampled_from(["text", "yes_no"])),
    }
    intents = {}
    for name in draw(st.sets(st.sampled_from("pqrs"), min_size=1)):
        ask = draw(st.lists(st.sampled_from(list(slots)), unique=True))
        sayable = [slot for slot in ask if slot != "note"]
        intents[name] = {
            "phrases": draw(st.lists(phrases(sayable), min_size=1, max_size=3)),
            "ask": dict.fromkeys(ask, "Which?"),
            "confirm": "Right?" if ask and draw(st.booleans()) else [],
            "answer": draw(st.text(min_size=1, max_size=9).filter(lambda text: "{" not in text)),
            "courtesy": draw(st.booleans()),
        }
    return agent(
        intents,
        texts={"greeting": draw(st.text(min_size=1, max_size=9))},
        slots=slots,
        answers=draw(st.lists(phrases(["day", "number"]), max_size=2)),
        before=draw(ways),
        pronunciations=draw(st.dictionaries(st.sampled_from(WORDS), st.sampled_from(["AA", "", "AA1 ZZ"]), max_size=2)),
    )
