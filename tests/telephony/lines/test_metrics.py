"""What /metrics says about a server and its calls."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.simulated import quick

Dial = Callable[..., Awaitable[Any]]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def server(serve: Callable[..., Any]) -> Any:
    """A quick server."""
    return serve(quick(words=3, word_ms=200) | {"turn.dtmf_timeout_ms": 100})


def scrape(server: Any) -> Samples:
    """All samples; the parser is Prometheus' own and raises at anything that is not its format."""
    answer = httpx.get(server.url + "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0)


def test_everything_is_there_before_the_first_call(server: Any) -> None:
    samples = scrape(server)
    counters = ("frames", "frames_duplicate", "frames_late", "gaps", "gap_milliseconds", "events_unknown")
    counters += ("playout_underruns", "marks_lost", "interruptions", "replies_failed")
    for name in counters:
        assert samples[f"voxline_{name}_total", frozenset()] == 0
    for name in ("greeting", "reply", "endpoint", "barge_in"):
        assert samples[f"voxline_{name}_seconds_count", frozenset()] == 0
        assert (f"voxline_{name}_seconds_bucket", frozenset({("le", "0.1")})) in samples
    assert samples["voxline_calls_active", frozenset()] == 0


def test_ticks_are_measured(server: Any) -> None:
    assert value(scrape(server), "voxline_tick_late_seconds_count") > 0


async def test_a_call_is_counted_while_it_is_on_and_after(server: Any, dial: Dial, in_thread: Dial) -> None:
    before = await in_thread(scrape, server)
    phone = await dial(server.url)
    phone.hold()
    await phone.heard(4)  # the greeting
    await phone.press("1")
    await phone.heard(5)  # a word of the answer
    await phone.press("2")  # over it
    await phone.get("clear")
    during = await in_thread(scrape, server)
    await phone.release()
    await phone.send({"event": "unheard of"})
    await phone.hang_up()
    await in_thread(server.wait_for, "ended", call=phone.call)
    after = await in_thread(scrape, server)

    def grown(name: str, samples: Samples = after, **labels: str) -> float:
        return value(samples, name, **labels) - value(before, name, **labels)

    assert (grown("voxline_calls_active", during), grown("voxline_calls_active")) == (1, 0)
    assert 0 < grown("voxline_frames_total", during) <= grown("voxline_frames_total") == phone.frames
    assert grown("voxline_calls_total", outcome="hangup") == 1
    assert grown("voxline_replies_total", cue="greet") == 1
    assert grown("voxline_replies_total", cue="answer") >= 1
    assert grown("voxline_interruptions_total") == 1
    assert grown("voxline_events_unknown_total") == 1
    for name in ("greeting", "reply", "endpoint", "barge_in"):
        assert grown(f"voxline_{name}_seconds_count") >= 1, name
        assert grown(f"voxline_{name}_seconds_sum") >= 0, name
    assert grown("voxline_gaps_total") == grown("voxline_frames_late_total") == 0


async def test_refusals_are_counted_by_reason(server: Any, dial: Dial, in_thread: Dial) -> None:
    before = await in_thread(scrape, server)
    await in_thread(lambda: httpx.post(server.url + "/twilio/voice", data={}))
    phone = await dial(server.url, start=False)
    await phone.send({"event": "media"})
    assert (await phone.closed())[0] == 1007
    after = await in_thread(scrape, server)
    for name, labels in (("voxline_refused_total", {"reason": "400"}), ("voxline_calls_total", {"outcome": "refused"})):
        assert value(after, name, **labels) - value(before, name, **labels) == 1
