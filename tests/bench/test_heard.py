"""The benchmark of what is said to the dialogues, in text."""

import json
from pathlib import Path

import pytest

from bench import heard, machine


def test_as_written_every_intent_and_number_is_understood_and_no_stranger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    heard.main([])
    [file] = tmp_path.glob("heard-*.json")
    rows = {row[1]: row[2:] for row in json.loads(file.read_text())["rows"]}
    # of, right, not understood, asked about, wrong
    assert rows["intents"] == [42, 42, 0, 0, 0]
    assert rows["numbers"] == [40, 40, 0, 0, 0]
    of, *_, asked, wrong = rows["strangers"]
    assert (of, wrong) == (6 * 68, 0)
    assert asked <= 6


async def test_what_is_heard_otherwise_is_told_apart() -> None:
    heard_as = {
        "Hi, what are your opening hours?": "Where are you?",
        "Hello, where are you located?": "The weather.",
        "I have to cancel my appointment.": "My appointment, cancelling.",
        "I want to see a dentist on Monday.": "I want to see a dentist on Friday.",
        "Can I book a checkup for Friday?": "Can I book a checkup?",
        "seven three nine": "seven three one",
        "Put the kettle on, would you?": "Are you open now?",
    }

    async def listen(item: heard.Item, _: object) -> str:
        return heard_as.get(item.say, item.say)

    found = {(item.say, item.agent): outcome for item, _, outcome in await heard.outcomes(list(heard.items()), listen)}
    assert [found[say, "form" if say.startswith("seven") else "front_desk"] for say in heard_as] == [
        heard.Outcome.WRONG,
        heard.Outcome.MISSED,
        heard.Outcome.ASKED,
        heard.Outcome.WRONG,
        heard.Outcome.MISSED,
        heard.Outcome.WRONG,
        heard.Outcome.WRONG,
    ]
