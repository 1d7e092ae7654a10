"""Keys as tones: heard as ITU-T Q.24 wants, and nothing else taken for them."""

import itertools
import wave
from pathlib import Path

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from audio import g711
from audio.tone_detector import FRAME_BYTES, ToneDetector
from audio.tones import COLUMNS, KEYS, ROWS, tones

Sound = NDArray[np.float64]
ZERO_DBM0 = 32_768 * 10 ** (-3.17 / 20)  # the amplitude of a sine at 0 dBm0
RATE = 8000


def press(key: str, ms: float, dbm0: float = -10, *, twist: float = 0, off: float = 0, phase: float = 0) -> Sound:
    """One key: each tone at this level; `twist` is dB of the column over the row, `off` a share of the frequency."""
    row, column = divmod(KEYS.index(key), 4)
    at = np.arange(round(RATE * ms / 1000)) / RATE
    low, high = (ZERO_DBM0 * 10 ** ((dbm0 + half) / 20) for half in (-twist / 2, twist / 2))
    turns = 2 * np.pi * (1 + off) * at
    return np.asarray(low * np.sin(ROWS[row] * turns + phase) + high * np.sin(COLUMNS[column] * turns + 2 * phase))


def silence(ms: float) -> Sound:
    return np.zeros(round(RATE * ms / 1000))


def heard(sound: Sound, size: int = FRAME_BYTES) -> str:
    """What a telephone line makes of it, and the detector of that, in pieces of so many bytes."""
    detector, keys = ToneDetector(), ""
    pcm = g711.decode(g711.encode(np.clip(sound, -32_768, 32_767).astype("<i2").tobytes()))
    for at in range(0, len(pcm), size):
        keys += detector.hear(pcm[at : at + size])[1]
    return keys


def dialled(ms: float, gap_ms: float, dbm0: float, *, twist: float = 0, off: float = 0, snr: float = 0) -> Sound:
    """All keys, each at another place in its frame; with noise `snr` dB below the two tones together."""
    parts = [silence(37)]
    for number, key in enumerate(KEYS):
        parts += [press(key, ms, dbm0, twist=twist, off=off, phase=number), silence(gap_ms + number * 0.125)]
    sound = np.concatenate([*parts, silence(100)])
    if snr:
        power = ZERO_DBM0 * 10 ** ((dbm0 - snr) / 20)
        sound += np.random.default_rng(1).normal(0, power, len(sound))
    return sound


@pytest.mark.parametrize("dbm0", [0, -5, -10, -20, -30])
@pytest.mark.parametrize(("ms", "gap_ms"), [(40, 40), (80, 60), (1000, 60)])
def test_keys_of_40_ms_and_longer_are_heard_at_every_level(dbm0: float, ms: float, gap_ms: float) -> None:
    assert heard(dialled(ms, gap_ms, dbm0)) == KEYS


@pytest.mark.parametrize("shift", range(0, 160, 20))
def test_it_does_not_matter_where_in_a_frame_a_key_begins(shift: int) -> None:
    assert heard(np.concatenate([np.zeros(shift), dialled(40, 40, -20)])) == KEYS


@pytest.mark.parametrize("twist", [4, 0, -8])
@pytest.mark.parametrize("off", [0, 0.015, -0.015])
def test_twist_and_frequencies_that_are_off_as_far_as_q24_allows_with_noise(twist: float, off: float) -> None:
    assert heard(dialled(50, 50, -20, twist=twist, off=off, snr=15)) == KEYS


@pytest.mark.parametrize("snr", [15, 10])
def test_noise(snr: float) -> None:
    assert heard(dialled(80, 60, -15, snr=snr)) == KEYS


@pytest.mark.parametrize("size", [2, 160, 322, 480, 640])
def test_audio_may_come_in_pieces_of_any_size(size: int) -> None:
    assert heard(dialled(100, 60, -10), size) == KEYS


def test_keys_as_we_press_them_ourselves() -> None:
    pcm = np.frombuffer(tones("104#*ABCD9"), "<i2").astype(float)
    assert heard(np.concatenate([pcm, silence(40)])) == "104#*ABCD9"


@pytest.mark.parametrize("ms", [10, 15, 20])
def test_what_is_shorter_than_a_key_is_none(ms: float) -> None:
    assert heard(dialled(ms, 60, -10)) == ""


@pytest.mark.parametrize("off", [0.035, -0.035])
def test_pitches_that_are_further_off_are_none(off: float) -> None:
    assert heard(dialled(100, 60, -10, off=off)) == ""


def test_one_tone_alone_or_one_far_weaker_is_none() -> None:
    at = np.arange(RATE) / RATE
    for hertz in (*ROWS, *COLUMNS, 350, 425, 440, 480, 620, 1400, 2100):
        assert heard(8000 * np.sin(2 * np.pi * hertz * at)) == ""
    assert heard(dialled(100, 60, -10, twist=16)) == heard(dialled(100, 60, -10, twist=-16)) == ""


def test_an_interruption_of_10_ms_is_bridged_and_a_gap_of_40_parts_two() -> None:
    def twice(gap_ms: float) -> Sound:
        return np.concatenate([silence(50), press("5", 60), silence(gap_ms), press("5", 60, phase=1), silence(80)])

    assert heard(twice(10)) == "5"
    assert heard(twice(40)) == "55"


def test_a_key_that_follows_another_without_a_gap_is_heard() -> None:
    assert heard(np.concatenate([silence(50), press("5", 80), press("6", 80), silence(80)])) == "56"


def test_what_sounds_is_told_but_for_the_frame_in_which_it_begins() -> None:
    detector = ToneDetector()
    sound = np.concatenate([silence(50), press("5", 400), silence(200)])
    pcm = sound.astype("<i2").tobytes()
    sounds = [detector.hear(pcm[at : at + FRAME_BYTES])[0] for at in range(0, len(pcm), FRAME_BYTES)]
    first, last = 50 // 20, (50 + 400) // 20
    assert not any(sounds[: first + 1])
    assert all(sounds[first + 1 : last + 1])
    assert not any(sounds[last + 3 :])


def test_what_is_to_be_ignored_is() -> None:
    detector = ToneDetector()
    detector.ignore(300)
    pcm = press("5", 400).astype("<i2").tobytes()
    told = [detector.hear(pcm[at : at + FRAME_BYTES]) for at in range(0, len(pcm), FRAME_BYTES)]
    assert told[:15] == 15 * [(False, "")]
    assert "".join(key for _, key in told) == "5"


# Talk-off


@pytest.mark.parametrize("pitch", [0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.35])
def test_people_who_talk_press_no_keys(speech: Path, pitch: float) -> None:
    """Deeper and higher than they are, as well: other voices."""
    files = sorted(speech.glob("*.wav"))
    assert files
    for path in files:
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
            sound = soxr.resample(samples, file.getframerate(), RATE * pitch)
        for loudness in (0.3, 1, 3):
            assert heard(loudness * sound) == "", path.name


def note(number: int, ms: float, harmonics: int) -> Sound:
    """A plucked note by its number (69 is 440 Hz)."""
    at = np.arange(round(RATE * ms / 1000)) / RATE
    hertz = 440 * 2 ** ((number - 69) / 12)
    parts = [np.sin(2 * np.pi * k * hertz * at) / k for k in range(1, harmonics + 1) if k * hertz < RATE / 2]
    return np.asarray(sum(parts) * np.exp(-at * 2))


@pytest.mark.parametrize("harmonics", [4, 10])
def test_chords_press_no_keys(harmonics: int) -> None:
    """Every two notes of three octaves, and the major and minor chords on them. Without overtones, two notes of just
    the right pitches are a key, whoever plays them."""
    chords = [*itertools.combinations(range(60, 97), 2)]
    chords += [(root, root + third, root + 7) for root in range(48, 90) for third in (3, 4)]
    sound = np.concatenate([5000 * sum(note(n, 120, harmonics) for n in chord) for chord in chords])
    assert heard(sound) == ""


def test_noise_whistles_and_the_tones_of_the_network_press_no_keys() -> None:
    rng = np.random.default_rng(2)
    assert heard(rng.normal(0, 4000, 30 * RATE)) == ""
    at = np.arange(20 * RATE) / RATE
    glide = 1200 + 700 * np.sin(2 * np.pi * 0.3 * at)
    assert heard(9000 * np.sin(2 * np.pi * np.cumsum(glide) / RATE)) == ""
    second = at[:RATE]
    for pair in ((350, 440), (440, 480), (480, 620), (400, 450), (1050, 1254), (2130, 2750), (1633, 1209), (697, 941)):
        assert heard(sum(6000 * np.sin(2 * np.pi * hertz * second) for hertz in pair)) == "", pair  # type: ignore[arg-type]
