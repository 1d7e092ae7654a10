"""What a server adds up of its calls' times."""

from config.streaming import TargetsSettings
from telephony.lines.metrics import Metrics
from telephony.timing.figures import MAX_CALLS, MAX_KEPT, RECENT_S, Figures, Spread, Target


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make() -> tuple[Figures, Metrics, Clock]:
    metrics, clock = Metrics(), Clock()
    return Figures(lambda: TargetsSettings(first_word_ms=100), metrics, clock), metrics, clock


def test_percentiles_since_the_start_and_over_the_last_minutes() -> None:
    figures, _, clock = make()
    call = figures.open("CA1")
    for ms in (50, 100, 150):
        figures.add(call, "first_word", ms)
    clock.now = RECENT_S + 1
    figures.add(call, "first_word", 80)
    assert figures.since_start()["first_word"] == Spread(4, 95.0, 90.0, 142.5, 148.5, 150.0)
    assert figures.recent()["first_word"] == Spread(1, 80.0, 80.0, 80.0, 80.0, 80.0)
    assert figures.recent()["perceived"] == Spread()
    assert call.values == {"first_word": [50, 100, 150, 80]}


def test_what_misses_its_target_is_counted() -> None:
    figures, metrics, _ = make()
    call = figures.open("CA1")
    for ms in (99, 100, 101):
        figures.add(call, "first_word", ms)
    figures.add(call, "end_to_end", 9000)  # has no target
    assert figures.targets()["first_word"] == Target(100, 3, 1)
    assert "end_to_end" not in figures.targets()
    shown = metrics.exposition().decode()
    assert 'voxline_targets_total{outcome="missed",target="first_word"} 1.0' in shown
    assert 'voxline_targets_total{outcome="met",target="first_word"} 2.0' in shown


def test_the_share_of_conversations_with_speech_while_the_model_writes() -> None:
    figures, _, _ = make()
    assert figures.counts()["concurrent_tts_share"] == 0
    for _ in range(3):
        figures.count("talks")
    figures.count("concurrent_talks")
    assert figures.counts()["concurrent_tts_share"] == 0.333


def test_of_old_calls_nothing_is_kept() -> None:
    figures, _, _ = make()
    for number in range(MAX_CALLS + 5):
        figures.open(f"CA{number}")
    assert len(figures.calls) == MAX_CALLS
    assert figures.calls[0].call == "CA5"


def test_of_more_values_the_latest_are_kept() -> None:
    figures, _, clock = make()
    call = figures.open("CA1")
    for number in range(MAX_KEPT + 10):
        clock.now = number
        figures.add(call, "perceived", number)
    spread = figures.since_start()["perceived"]
    assert (spread.count, spread.max) == (MAX_KEPT + 10, MAX_KEPT + 9)
    assert spread.p50 == 10 + (MAX_KEPT - 1) / 2
    assert figures.recent()["perceived"].count == RECENT_S + 1
    assert len(call.values["perceived"]) == MAX_CALLS
