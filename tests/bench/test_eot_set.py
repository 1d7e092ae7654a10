"""Our own set of turns with pauses."""

import pytest

from bench import eot_set
from bench.eot_set import HALVES, PausedTurn, turns


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> list[PausedTurn]:
    monkeypatch.setattr(eot_set, "PAUSES_MS", (350,))
    return list(turns("seen"))


def test_every_pause_that_was_made_is_as_long_as_it_should_be(small: list[PausedTurn]) -> None:
    assert {item.kind for item in small} == {"expected", "joined", "people"}
    for item in small:
        made = [end - begin for begin, end in item.turn.pauses if abs(end - begin - 350) <= 20]
        parts = item.turn.name.count("|") if item.kind != "people" else 1
        assert len(made) >= parts, item.turn.name
        assert item.made_ms == (350 if parts else 0)
        assert all(0 < begin < end < item.turn.end_ms for begin, end in item.turn.pauses)


def test_a_sentence_is_cut_where_its_words_meet(small: list[PausedTurn]) -> None:
    begins = {item.turn.name: item.turn.pauses for item in small}
    [(begin, end)] = begins["am_adam Three seven,| two nine. 350"]
    assert begin == pytest.approx(600, abs=60)
    assert end - begin == pytest.approx(350, abs=20)


def test_the_halves_share_no_voice_and_no_sentence() -> None:
    seen, unseen = HALVES["seen"], HALVES["unseen"]
    for name in ("spoken", "speakers", "joined", "callers", "people"):
        assert not set(getattr(seen, name)) & set(getattr(unseen, name))


def test_words_that_are_not_said_are_noticed() -> None:
    path = eot_set.recording_of(HALVES["seen"].spoken[0], HALVES["seen"].speakers[0])
    with pytest.raises(ValueError, match="is not what is said"):
        eot_set.parted(eot_set.recording(path, 16_000)[:800], "hello| there")
