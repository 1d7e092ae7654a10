"""Speed beside the targets, and the switches."""

from pathlib import Path

from config.settings import Settings
from config.streaming import TargetsSettings
from telephony.console.speed import Speed, speeds, switches_of
from telephony.lines.metrics import Metrics
from telephony.timing.figures import Figures
from tests.telephony.console.served import Page, served


def test_the_median_of_five_minutes_is_judged_and_misses_count_since_the_start() -> None:
    now = [0.0]
    figures = Figures(lambda: TargetsSettings(perceived_ms=200), Metrics(), lambda: now[0])
    call = figures.open("CA1")
    figures.add(call, "perceived", 900)
    now[0] = 400.0
    for ms in (100, 200, 300):
        figures.add(call, "perceived", ms)
    figures.add(call, "end_to_end", 700)
    by_name = {speed.name: speed for speed in speeds(figures)}
    assert by_name["Decision to audio"] == Speed(
        "Decision to audio", "200 ms", "290 ms", "200 ms", True, "2 of 4 missed"
    )
    assert by_name["Silence to audio"] == Speed("Silence to audio", "700 ms", "700 ms", "", None, "")
    assert by_name["Falling silent"] == Speed("Falling silent", "–", "–", "100 ms", None, "")
    figures.add(call, "perceived", 201)
    figures.add(call, "perceived", 202)
    assert {speed.name: speed.met for speed in speeds(figures)}["Decision to audio"] is False


def test_switches_are_those_of_calls_that_begin_now() -> None:
    settings = Settings()
    off = settings.model_copy(update={"reply": settings.reply.model_copy(update={"concurrent_tts_streams": 1})})
    changed = [
        (was.variable, now.on) for was, now in zip(switches_of(settings), switches_of(off), strict=True) if was != now
    ]
    assert changed == [("CONCURRENT_TTS_ENABLED", False)]


async def test_the_overview_says_met_and_missed_in_words(tmp_path: Path) -> None:
    async with served(tmp_path, targets__perceived_ms=150) as one, one.signed_in("vera") as browser:
        figures = one.app.shared.figures
        call = figures.open("CA1")
        figures.add(call, "perceived", 151)
        figures.add(call, "first_word", 20)
        page = Page((await browser.get("/console")).text)
        shown = " ".join(" ".join(page.texts).split())
        assert "Decision to audio 151 ms 151 ms 150 ms missed" in shown
        assert "Decision to first word 20 ms 20 ms 120 ms met" in shown
        assert "on partial words" in shown
        live = Page((await browser.get("/console/live")).text)
        assert [attrs["data-target"] for tag, attrs in live.tags if tag == "table"] == ["150"]
