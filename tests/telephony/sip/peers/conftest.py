"""What tests of telephones look at."""

import pytest

from tests.telephony.sip.peers.cases import Audio


@pytest.fixture
def audio(sent: list[bytes], heard: list[bytes], pressed: list[str]) -> Audio:
    """What went through the lines of a test, both ways."""
    return Audio(sent, heard, pressed)
