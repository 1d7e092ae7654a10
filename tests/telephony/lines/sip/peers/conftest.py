"""What the tests of telephones check."""

from typing import Any

import pytest

from agent.conversation import Conversation
from agent.events import Dtmf
from tests.telephony.lines.sip.peers.cases import Audio


@pytest.fixture
def audio(sent: list[bytes], heard: list[bytes], counted: list[str]) -> Audio:
    """The audio of a test's lines, both ways."""
    return Audio(sent, heard, counted)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that conversations were told of: a press that arrives in two ways counts once."""
    keys: list[str] = []
    handle = Conversation.handle

    def overhear(self: Conversation, event: Any) -> None:
        if isinstance(event, Dtmf):
            keys.append(event.digit)
        handle(self, event)

    monkeypatch.setattr(Conversation, "handle", overhear)
    return keys
