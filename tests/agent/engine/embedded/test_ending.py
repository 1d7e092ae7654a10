"""What can end where it ends, and what cannot."""

import pytest

from agent.engine.embedded.ending import leads_on


@pytest.mark.parametrize(
    "text", ["I'd like to", "On Monday and", "Yes,", "This mess,", "I need it for the.", "um", "No, I", "I need it for"]
)
def test_more_must_follow(text: str) -> None:
    assert leads_on(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "Yes.",
        "I'd like that.",
        "What is that for?",
        "One two three four",
        "Hold on.",
        "Apartment A.",
        "D-E-A",
        "L, E, V, I,",
    ],
)
def test_it_may_be_all(text: str) -> None:
    assert not leads_on(text)
