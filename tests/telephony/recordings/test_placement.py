"""Where the agent's audio lies; test_tracks.py tries any order of events."""

from telephony.recordings.placement import MAX_SPANS, Placement


def test_a_piece_lies_where_it_is_heard_but_never_over_the_last_one() -> None:
    placement = Placement()
    assert placement.lay(100, 50, ahead=20, hole=None) == 120
    assert placement.lay(110, 50, ahead=0, hole=None) == 170
    assert placement.lay(500, 50, ahead=0, hole=30) == 250
    assert placement.end == 300


def test_what_is_taken_back_may_lie_in_several_pieces() -> None:
    placement = Placement()
    for now in (0, 100, 200):
        placement.lay(now, 50, ahead=0, hole=None)
    assert placement.take_back(0) == 250
    assert placement.take_back(10) == 240
    assert placement.take_back(60) == 130
    assert placement.lay(130, 10, ahead=0, hole=0) == 130
    assert placement.take_back(1000) == 0


def test_a_whole_piece_that_is_taken_back_leaves_the_silence_before_it() -> None:
    placement = Placement()
    placement.lay(0, 50, ahead=0, hole=None)
    placement.lay(100, 50, ahead=0, hole=None)
    assert placement.take_back(50) == 100
    placement = Placement()
    placement.lay(0, 0, ahead=0, hole=None)
    placement.lay(0, 2, ahead=2, hole=None)
    assert placement.take_back(2) == 2


def test_only_the_last_pieces_are_remembered() -> None:
    placement = Placement()
    for now in range(0, 1000 * MAX_SPANS, 100):
        placement.lay(now, 50, ahead=0, hole=None)
    assert len(placement._spans) == MAX_SPANS
