"""How loud the caller is: in one burst, now, and usually."""

import pytest

from agent.listening.level import KEPT, NOW, SILENCE_DB, Level
from tests.agent.phone import frame

SILENT = bytes(320)


def heard(level: Level, db: float, frames: int) -> None:
    for _ in range(frames):
        level.add(frame(db))


def test_silence_and_nothing_at_all_are_very_quiet() -> None:
    level = Level()
    assert level.burst_db == level.now_db == SILENCE_DB
    level.add(SILENT)
    level.add(b"")
    assert level.burst_db == level.now_db == SILENCE_DB


def test_the_level_of_the_last_frames_is_their_power() -> None:
    level = Level()
    assert level.recent_db(12) == SILENCE_DB
    heard(level, -6, 20)
    heard(level, -20, 12)
    assert level.recent_db(12) == pytest.approx(-20, abs=0.5)
    for _ in range(6):
        level.add(SILENT)
    assert level.recent_db(12) == pytest.approx(-23, abs=0.5)


@pytest.mark.parametrize("db", [-6, -20, -35, -50])
def test_a_steady_sound_has_its_level(db: float) -> None:
    level = Level()
    heard(level, db, 20)
    assert level.burst_db == pytest.approx(db, abs=0.5)
    assert level.now_db == pytest.approx(db, abs=0.5)


def test_the_loudest_frames_make_up_a_burst_so_pauses_in_it_do_not_count() -> None:
    steady, paused = Level(), Level()
    heard(steady, -20, 30)
    for _ in range(10):
        heard(paused, -20, 1)
        heard(paused, -60, 2)
    assert paused.burst_db == pytest.approx(steady.burst_db, abs=0.5)
    assert paused.now_db < -22


def test_now_is_the_last_moment_only() -> None:
    level = Level()
    heard(level, -20, 50)
    heard(level, -50, NOW)
    assert level.now_db == pytest.approx(-50, abs=0.5)


def test_a_new_burst_forgets_what_came_before_it_but_its_first_moment() -> None:
    level = Level()
    heard(level, -10, 50)
    heard(level, -40, NOW)
    level.begin()
    heard(level, -40, 20)
    assert level.burst_db == pytest.approx(-40, abs=0.5)


def test_usual_is_unknown_first_then_learnt_and_follows_slowly() -> None:
    level = Level()
    assert level.usual_db is None
    heard(level, -20, 20)
    level.learn()
    assert level.usual_db == pytest.approx(-20, abs=0.5)
    heard(level, -60, NOW)
    level.begin()
    heard(level, -40, 200)
    level.learn()
    assert -30 < level.usual_db < -22
    for _ in range(20):
        level.learn()
    assert level.usual_db == pytest.approx(-40, abs=1)


def test_near_is_no_more_than_so_far_below_the_usual() -> None:
    level = Level()
    assert level.is_near(6, -90)  # nothing is known yet
    heard(level, -20, 20)
    level.learn()
    assert level.is_near(6, -10)
    assert level.is_near(6, -25.5)
    assert not level.is_near(6, -27)
    assert level.is_near(10, -27)


def test_a_long_burst_takes_no_more_memory_than_its_last_seconds() -> None:
    level = Level()
    heard(level, -10, 10)
    heard(level, -30, KEPT)
    assert level.burst_db == pytest.approx(-30, abs=0.5)
