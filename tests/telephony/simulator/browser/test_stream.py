"""The simulated page's end of a call: what is heard, said and answered, in the time of the line."""

from typing import Any

import numpy as np

from telephony.lines.browser.messages import Block, Frame, Stopped, parse
from telephony.simulator.browser.stream import BrowserTalk

FRAME = 160  # samples of 8 kHz


def talk(script: Any, floor: Any, *steps: Any) -> BrowserTalk:
    return BrowserTalk(script(*(steps or ("wait",))), [None] * max(1, len(steps)), floor, keep_audio=True)


def ramp(samples: int) -> bytes:
    return (np.arange(samples) % 20_000 + 1).astype("<i2").tobytes()


def frames(out: list[str | bytes]) -> list[Frame]:
    return [parsed for parsed in map(parse, out) if isinstance(parsed, Frame)]


def test_frames_leave_every_20_ms_and_tell_what_was_heard(script: Any, floor: Any) -> None:
    one = talk(script, floor)
    one.audio(Block(0, 0, 1, ramp(1600)).pack(), 0)
    assert one.tick(FRAME - 1) == []
    [first] = frames(one.tick(FRAME))
    [second] = frames(one.tick(2 * FRAME))
    assert (first.sequence, first.heard.heard, first.heard.received) == (0, 320, 1600)
    assert (second.sequence, second.heard.heard) == (320, 640)


def test_clear_fades_and_tells_where(script: Any, floor: Any) -> None:
    one = talk(script, floor)
    one.audio(Block(0, 0, 1, ramp(1600)).pack(), 0)
    [answer] = one.text(b'{"type":"clear","epoch":1}', 200)
    assert parse(answer) == Stopped(1, 400, 320)
    (_, before), (position, fade) = one.played
    assert (before, position, len(fade)) == (ramp(1600)[:800], 400, 640)
    one.audio(Block(400, 0, 1, ramp(100)).pack(), 210)  # of the epoch before
    assert one.heard.received == 400
    assert one.error_count == 0
    [again] = one.text(b'{"type":"clear","epoch":2}', 220)
    assert parse(again) == Stopped(2, 400, 0)


def test_running_dry_within_a_reply_is_counted(script: Any, floor: Any) -> None:
    one = talk(script, floor)
    one.audio(Block(0, 0, 1, ramp(320)).pack(), 0)
    one.audio(Block(320, 0, 1, ramp(320)).pack(), 400)
    one.audio(Block(640, 0, 2, ramp(320)).pack(), 900)  # another reply
    one.audio(Block(960, 0, 2, ramp(320)).pack(), 6000)  # a pause that is meant
    assert one.heard.dry == 1


def test_what_does_not_fit_is_an_error_of_the_servers(script: Any, floor: Any) -> None:
    one = talk(script, floor)
    one.audio(Block(5, 0, 1, ramp(10)).pack(), 0)
    one.audio(b"123", 0)
    one.text(b"{", 0)
    assert one.error_count == 3


def test_keys_are_messages(script: Any, floor: Any) -> None:
    one = talk(script, floor, {"dtmf": "7"})
    out = [message for at in range(1, 20) for message in one.tick(at * FRAME)]
    assert '{"type":"key","key":"7"}' in out
