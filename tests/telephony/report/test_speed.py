"""Which targets a past call met."""

from pathlib import Path

import msgspec
import pytest

from agent.tape.format import Header
from config.streaming import TargetsSettings
from telephony.report.page import call_json
from telephony.report.replies import Break, ReplyStory
from telephony.report.speed import judge, speed_figures
from telephony.report.story import Story
from telephony.report.tape import Tape
from telephony.report.transcript import TranscriptEntry
from tests.telephony.report.test_report import sample_call

TARGETS = TargetsSettings(first_word_ms=100, word_to_audio_ms=50, perceived_ms=150, interruption_response_ms=80)


def story(*replies: ReplyStory, breaks: tuple[Break, ...] = ()) -> Story:
    """A call with these and no others."""
    made = Story(Tape(Header(1, "CA1"), ()))
    made.replies = {reply.number: reply for reply in replies}
    made.breaks = list(breaks)
    return made


def answer(number: int, decided: float, text: float | None, played: float | None) -> ReplyStory:
    return ReplyStory(number, cue="answer", decided_at=decided, text_at=text, played_at=played)


def test_medians_are_judged_and_misses_counted() -> None:
    call = story(
        answer(1, 1000, 1050, 1090),
        answer(2, 2000, 2060, 2140),
        answer(3, 3000, 3090, 3400),
        breaks=(Break(3, 5100, 5000),),
    )
    shown = [(figure.label, figure.value, figure.bad) for figure in speed_figures(call, TARGETS)]
    assert shown == [
        ("Decision → first word", "60 ms, met", False),
        ("Word → audio", "80 ms, missed", True),
        ("Decision → audio", "140 ms, met", False),
        ("Onset → silence", "100 ms, missed", True),
    ]
    assert "target 150 ms, missed by 1 of 3" in speed_figures(call, TARGETS)[2].hint


def test_what_was_made_early_took_no_time_and_what_is_unknown_is_left_out() -> None:
    early = story(answer(1, 1000, 800, 1000), answer(2, 2000, None, 2100), answer(3, 3000, 3010, None))
    assert [figure.value for figure in speed_figures(early, TARGETS)] == ["0 ms, met"] * 3
    assert speed_figures(story(), TARGETS) == []


@pytest.mark.parametrize(("played", "tags"), [(1150.0, []), (1151.0, ["target missed"])])
def test_each_turn_of_the_caller_is_judged(played: float, tags: list[str]) -> None:
    call = story(answer(1, 1000, 1010, played))
    entries = [
        TranscriptEntry(who=who, start=0, end=0, text="", reply=number)
        for who, number in (("caller", 1), ("agent", 1), ("caller", 9), ("note", None))
    ]
    judge(entries, call, TARGETS)
    assert [entry.tags for entry in entries] == [tags, [], [], []]
    verdict = "missed" if tags else "met"
    assert entries[0].facts == [f"decision to audio {played - 1000:.0f} ms, target 150 ms {verdict}"]


def test_what_is_drawn_of_a_tape_says_it(tmp_path: Path) -> None:
    path = tmp_path / "call.jsonl"
    path.write_bytes(sample_call().bytes())
    drawn = []
    for target_ms in (1, 60_000):
        targets = TargetsSettings(perceived_ms=target_ms)
        data = msgspec.json.decode(call_json(path, targets))["data"]
        [figure] = [figure for figure in data["figures"] if figure["label"] == "Decision → audio"]
        tags = [entry.get("tags", []) for entry in data["transcript"] if entry["who"] == "caller"]
        drawn.append((figure["bad"], any("target missed" in names for names in tags)))
    assert drawn == [(True, True), (False, False)]
