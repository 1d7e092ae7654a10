"""docs/sip-peers.md agrees with the tests."""

from tests.telephony.lines.sip.peers import matrix
from tests.telephony.lines.sip.peers.matrix import CANNOT, PAGE, PASSED, REASONS, TABLES


def test_every_cell_is_tried_or_has_a_reason() -> None:
    cells = {(peer, feature) for table in TABLES for peer in table.peers for feature in table.features}
    assert matrix.tried() | REASONS.keys() == cells
    assert not matrix.tried() & REASONS.keys()


def test_the_page_is_of_these_tests() -> None:
    """To write the page anew: make sip-peers."""
    text = PAGE.read_text(encoding="utf-8")
    expected = dict.fromkeys(matrix.tried(), PASSED) | dict.fromkeys(REASONS, CANNOT)
    assert matrix.cells_of(text) == expected
    for reason in REASONS.values():
        assert reason in text
