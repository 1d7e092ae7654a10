"""Of where a dialogue stands, what its slots hold: for others to keep."""

from typing import Any

import pytest

from agent.engine.embedded.dialogue_state import filled
from tests.agent.engine.embedded.test_secrets import bank


def test_what_is_filled_has_no_secrets() -> None:
    call = bank()
    call.says("pay twenty pounds")
    call.dials("12345678")
    call.says("four seven one one")
    assert filled(call.state) == {"amount": "twenty pounds"}
    assert filled({"fallback": {"dialogue": call.state, "expect": "open"}}) == {"amount": "twenty pounds"}


@pytest.mark.parametrize("state", [{}, {"slots": 5}, {"fallback": {}}, {"fallback": {"dialogue": 5}}, {"a": {"b": 1}}])
def test_what_is_no_dialogues_state_has_none(state: dict[str, Any]) -> None:
    assert filled(state) == {}
