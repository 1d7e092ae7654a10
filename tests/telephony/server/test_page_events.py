"""What a caller's page is shown, and what it is not."""

from typing import Any

from agent import events as e
from agent.engine.base import HIDDEN, Cue
from agent.state import State
from telephony.server.page_events import NAMES, PageEvents


class Shown:
    """Keeps what is shown."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def __call__(self, kind: str, **fields: Any) -> None:
        self.all.append({"type": kind, **fields})


def test_a_state_is_shown_once() -> None:
    shown = Shown()
    events = PageEvents(shown, words=True)
    for _ in range(3):
        events.told(e.Resume(1), State.SPEAKING)
    assert shown.all == [{"type": "state", "state": "speaking"}]


def test_words_are_shown_only_where_they_may_be_logged() -> None:
    for words, text in ((True, "hello"), (False, None)):
        shown = Shown()
        PageEvents(shown, words=words).told(e.Said("caller", "hello", False, 0.0), State.IDLE)
        assert shown.all == [{"type": "said", "role": "caller", "text": text, "interrupted": False}]


def test_what_is_private_stays_hidden() -> None:
    shown = Shown()
    PageEvents(shown, words=True).told(e.Said("caller", HIDDEN, False, 0.0), State.IDLE)
    assert shown.all[0]["text"] == HIDDEN


def test_of_an_answer_its_latencies_are_shown_once() -> None:
    shown = Shown()
    events = PageEvents(shown, words=True)
    events.told(e.TurnDecided(2, Cue.ANSWER, 1400.0, 1000.0), State.IDLE)
    events.told(e.TurnDecided(3, Cue.REPROMPT, 9000.0, 1000.0), State.IDLE)
    events.answers(3, 5.0)
    events.answers(2, 80.4)
    events.answers(2, 80.4)
    assert shown.all == [{"type": "latency", "silence_ms": 400, "answer_ms": 80}]


def test_every_state_has_a_name() -> None:
    assert {*State} - NAMES.keys() == {State.IDLE}
