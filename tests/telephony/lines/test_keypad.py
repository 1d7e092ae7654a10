"""Each press of a key counts once, in however many ways it comes."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.embedded.synthesizer import say
from agent.listening.vad import Vad
from audio.g711 import decode, encode
from audio.resample import to_line
from audio.tones import tones
from config.keys import duration_ms
from telephony.lines.keypad import MAX_REMEMBERED, Keypad, Way

EVENT, INFO, TONE = Way.EVENT, Way.INFO, Way.TONE


def test_the_same_key_by_two_ways_counts_once_whichever_comes_first() -> None:
    for first, second in itertools.permutations((EVENT, INFO, TONE), 2):
        keypad = Keypad()
        assert keypad.press("5", first, 11_900)
        assert not keypad.press("5", second, 11_920)
        assert keypad.repeated == 1


def test_after_half_a_second_it_is_another_press() -> None:
    keypad = Keypad()
    assert keypad.press("5", EVENT, 0)
    assert not keypad.press("5", INFO, 500)
    assert keypad.press("5", INFO, 1001)


@pytest.mark.parametrize(("first", "second"), [(EVENT, INFO), (INFO, EVENT)])
def test_of_a_phone_that_sends_every_press_twice_the_second_may_be_seconds_late(first: Way, second: Way) -> None:
    keypad = Keypad()
    keys = "1579"
    first_told = [keypad.press(key, first, 100 * n) for n, key in enumerate(keys)]
    second_told = [keypad.press(key, second, 100 + 1000 * n) for n, key in enumerate(keys)]
    assert (first_told, second_told) == (4 * [True], 4 * [False])
    assert keypad.repeated == 4


def test_one_key_twice_by_one_way_is_two() -> None:
    keypad = Keypad()
    assert [keypad.press("5", EVENT, at) for at in (0, 120, 240)] == 3 * [True]


def test_a_long_press_that_is_told_when_it_is_let_go_counts_once() -> None:
    keypad = Keypad()
    assert keypad.press("5", EVENT, 0)
    assert not keypad.press("5", INFO, 2020, lasted_ms=2000)


def test_a_tone_that_goes_on_is_the_press_of_a_message_at_its_end() -> None:
    keypad = Keypad()
    assert keypad.press("5", TONE, 0)
    for at in range(20, 3000, 20):
        keypad._hold(at)
    assert not keypad.press("5", Way.MESSAGE, 3400)
    assert keypad.press("5", Way.MESSAGE, 3600)


def test_what_is_remembered_is_bounded() -> None:
    keypad = Keypad()
    for at in range(1000):
        keypad.press("5", EVENT, at)
    assert len(keypad._presses) == MAX_REMEMBERED


@given(st.text("0156#", max_size=12), st.integers(60, 200), st.data())
def test_quick_dialling_by_two_ways_gives_each_key_once(keys: str, every_ms: int, data: st.DataObject) -> None:
    """Each way keeps its order; one may lag behind the other."""
    lags = [data.draw(st.integers(0, 200)) for _ in range(2)]
    told = [(every_ms * n + lags[way], n, way, key) for n, key in enumerate(keys) for way in range(2)]
    keypad, got = Keypad(), ""
    for at, _, way, key in sorted(told):
        got += key if keypad.press(key, (EVENT, INFO)[way], at) else ""
    assert got == keys


def played(keypad: Keypad, pcm: bytes) -> tuple[bytes, str]:
    out, keys = b"", ""
    for at in range(0, len(pcm), 320):
        piece, _, key = keypad.hear(pcm[at : at + 320], b"", at / 16)
        out, keys = out + piece, keys + key
    return out, keys


@pytest.mark.parametrize("level", [1, 0.3, 0.05])
@pytest.mark.parametrize("noise", [0, 15])
def test_the_detector_of_voices_does_not_notice_keys_wherever_they_begin(level: float, noise: float) -> None:
    """Neither their tones, nor a gap in the line's noise."""
    rng = np.random.default_rng(3)
    keys = np.frombuffer(tones("14"), "<i2") * level
    for shift in range(0, 160, 8):
        sound = np.concatenate([np.zeros(8000 + shift), keys, np.zeros(4000)])
        sound = (sound + rng.normal(0, noise, len(sound)))[: len(sound) // 160 * 160]
        detector = Vad()
        stream = detector.open()
        out, heard = played(Keypad(), decode(encode(sound.astype("<i2").tobytes())))
        assert (heard, len(out)) == ("14", 2 * len(sound))
        top = 0.0
        for at in range(0, len(out), 320):
            stream.feed(out[at : at + 320])
            top = max([top, *(value for _, value, _ in detector.run())])
        assert top < 0.2


def test_speech_comes_out_as_it_went_in() -> None:
    pcm = to_line(*say("Good morning to you. Two, four, seven."))
    pcm = pcm[: len(pcm) // 320 * 320] + bytes(320)
    assert played(Keypad(), pcm) == (pcm, "")


def test_what_is_kept_comes_out_though_a_message_ends_the_listening() -> None:
    keypad = Keypad()
    frame = bytes(200) + tones("1")[:120]
    assert keypad.hear(bytes(320), b"", 0)[0]
    assert keypad.hear(frame, b"", 20) == (b"", b"", "")
    keypad.press("1", Way.MESSAGE, 25)
    assert keypad.listens(beside=False)
    assert len(keypad.hear(bytes(320), b"", 40)[0]) == 640
    assert not keypad.listens(beside=False)


def test_keys_are_listened_for_until_one_comes_beside_the_audio() -> None:
    assert Keypad().listens(beside=False)
    assert not Keypad().listens(beside=True)
    assert Keypad("always").listens(beside=True)
    assert not Keypad("never").listens(beside=False)
    keypad = Keypad()
    assert played(keypad, tones("1") + bytes(640))[1] == "1"
    assert keypad.listens(beside=False)
    keypad.press("2", Way.MESSAGE, 3000)
    assert not keypad.listens(beside=False)


def test_our_own_keys_that_come_back_are_none_of_the_callers() -> None:
    keypad = Keypad()
    keypad.ignore(duration_ms("47"))
    assert played(keypad, bytes(16 * 200) + tones("47") + bytes(16 * 400))[1] == ""
    assert played(keypad, tones("5") + bytes(640))[1] == "5"
