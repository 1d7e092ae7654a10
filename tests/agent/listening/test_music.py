"""Music on hold and tones: no turns, no interruptions, no questions whether somebody is there; speech is heard as ever.

The music is Debian's asterisk-moh-opsound-wav: five pieces from opsound.org (CC-BY-SA) for guitar, piano and full
arrangements.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import config
from agent import events as e
from agent.engine.base import Cue
from agent.engine.embedded.moonshine import Moonshine, model_folder
from agent.engine.embedded.moonshine_recognizer import MoonshineRecognizer
from agent.engine.embedded.recognizer import PocketsphinxRecognizer
from agent.listening.caller_turn import CallerTurn
from agent.listening.music import Music
from agent.listening.vad import Vad
from agent.state import State
from audio import g711, resample, wav
from audio.rate import BYTES_PER_MS, WINDOW_MS
from bench.virtual_call import VirtualCall
from config.agent import load_agents
from config.settings import Settings, TurnSettings
from telephony.simulator.voices import FOLDER, path_of
from tests.agent.hearing import RealCall
from tests.debian import MUSIC, require

RATE = 8000
RECORDINGS = sorted((Path(__file__).parents[2] / "recordings").glob("*.wav"))
PIECES = ("macroform-cold_day", "macroform-robot_dity", "macroform-the_simplicity", "manolo_camp-morning_coffee")
UNTUNED = "reno_project-system"
QUESTION = "What are your opening hours?"
AGENTS = load_agents(Path(config.__file__).parent / "agents")
Sound = np.ndarray[Any, Any]


@cache
def network() -> Moonshine:
    """It is loaded once."""
    return Moonshine(model_folder())


def opus(path: Path) -> tuple[np.ndarray[Any, Any], int]:
    """A recording's samples, mono float32, and their rate."""
    audio, rate = soundfile.read(path, dtype="float32")
    return audio, rate


def noise(like: Sound, db: float) -> Sound:
    """White noise of the line, as long as another sound."""
    return np.random.default_rng(7).normal(0, 10 ** (db / 20), len(like))


def levelled(audio: Sound, db: float) -> Sound:
    """The louder half of it at this level, dBFS."""
    frames = audio[: len(audio) // 160 * 160].reshape(-1, 160)
    levels = np.sort(np.sqrt((frames**2).mean(axis=1)))
    return audio * (10 ** (db / 20) / levels[len(levels) // 2 :].mean())


def piece(name: str, seconds: float, db: float = -24) -> Sound:
    """The beginning of a piece of music."""
    require("asterisk-moh-opsound-wav")
    audio = resample.resample(*wav.read(Path(MUSIC) / f"{name}.wav"), RATE)
    return levelled(audio[: int(RATE * seconds)], db)


def recording(path: Path, line_db: float = -60) -> Sound:
    """A person, with a second of silence before and 1.5 s behind."""
    audio = levelled(resample.resample(*wav.read(path), RATE), -20)
    audio = np.concatenate([np.zeros(RATE), audio, np.zeros(3 * RATE // 2)])
    return audio + noise(audio, line_db)


def cues(call: RealCall) -> list[Cue]:
    """Why the agent has spoken, after the greeting."""
    return [decided.cue for decided in call.all(e.TurnDecided)][1:]


def answers(call: RealCall) -> list[e.TurnDecided]:
    """The caller's turns."""
    return [decided for decided in call.all(e.TurnDecided) if decided.cue is Cue.ANSWER]


@pytest.mark.slow
@pytest.mark.parametrize("db", [-24, -18])
@pytest.mark.parametrize("name", [*PIECES, UNTUNED])
def test_music_on_hold_is_no_turn(name: str, db: float) -> None:
    call = RealCall()
    music = piece(name, 90, db)
    call.hear(music + noise(music, -60))
    assert cues(call) in ([], [Cue.REPROMPT])  # where it is very soft for a while
    assert not call.all(e.RunTools)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [MoonshineRecognizer, PocketsphinxRecognizer])
@pytest.mark.parametrize("db", [-24, -20])
@pytest.mark.parametrize("name", [*PIECES, UNTUNED])
async def test_a_whole_piece_is_no_turn_and_the_person_behind_it_is_understood(
    name: str, db: float, kind: type[MoonshineRecognizer | PocketsphinxRecognizer]
) -> None:
    """Heard by the recognizers themselves, with what the agent hears of the caller's words."""
    recognizer = MoonshineRecognizer(AGENTS, network()) if kind is MoonshineRecognizer else kind(AGENTS, 1)
    await recognizer.load()
    asks = levelled(resample.resample(*opus(path_of(QUESTION, "af_bella", FOLDER)), RATE), -20)
    music = np.concatenate([np.zeros(3 * RATE), piece(name, 600, db)])
    sound = np.concatenate([music, np.zeros(3 * RATE // 10), asks, np.zeros(2 * RATE)])
    sound = np.pad(sound, (0, -len(sound) % 160))
    call = VirtualCall(name, "front_desk", recognizer, Vad(), Settings())
    await call.start()
    await call.hear(g711.decode(g711.encode(resample.to_pcm16(sound + noise(sound, -60)))))
    call.close()
    await recognizer.close()
    assert not call.times(e.RunTools)
    back_ms = 1000 * len(music) / RATE
    [decided_ms] = [at for at, each in call.commands if isinstance(each, e.TurnDecided) and each.cue is Cue.ANSWER]
    asked_ms, asked = [(at, each.request) for at, each in call.commands if isinstance(each, e.StartReply)][-1]
    assert back_ms < asked_ms - len(asked.audio) / BYTES_PER_MS < back_ms + 300 < decided_ms
    [said] = [each.text for _, each in call.commands if isinstance(each, e.Said) and each.role == "caller"]
    assert said == QUESTION if kind is MoonshineRecognizer else said  # pocketsphinx hears people badly


def test_forty_seconds_of_music_are_no_turn_and_the_person_who_comes_back_is_heard_from_the_first_word() -> None:
    call, alone = RealCall(), RealCall()
    path = next(path for path in RECORDINGS if path.stem == "cards-1")
    call.hear(piece("macroform-the_simplicity", 40), noise(np.zeros(2400), -60))
    assert cues(call) == []
    back_ms = call.session.now_ms
    call.hear(recording(path))
    alone.hear(recording(path))
    [decided], [without] = (
        [each for each in one.all(e.TurnDecided) if each.cue is Cue.ANSWER] for one in (call, alone)
    )
    assert decided.at_ms - back_ms == pytest.approx(without.at_ms, abs=40)
    heard, reference = (one.last(e.StartReply).request.audio for one in (call, alone))
    assert len(heard) >= len(reference) - 16 * 64


@pytest.mark.parametrize("talking", [False, True])
@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_people_are_heard_as_fast_as_without(path: Path, talking: bool) -> None:
    with_it, without = (RealCall(talking=talking, ignore_music=on) for on in (True, False))
    sound = recording(path, -50)
    with_it.hear(sound)
    without.hear(sound)
    assert with_it.commands == without.commands
    assert talking or Cue.ANSWER in cues(with_it)


def test_a_word_over_music_in_the_background_is_a_turn() -> None:
    call = RealCall()
    path = next(path for path in RECORDINGS if path.stem == "goforward")
    sound = recording(path)
    call.hear(sound + piece("macroform-robot_dity", 30, -38)[: len(sound)])
    assert Cue.ANSWER in cues(call)


def test_music_over_the_agent_pauses_it_and_ends_nothing() -> None:
    call = RealCall(talking=True)
    call.hear(piece("macroform-robot_dity", 40))
    assert not call.all(e.Interrupted)
    assert len(call.all(e.Resume)) == len(call.all(e.Pause))
    assert call.session.state is State.SPEAKING


def tone(pattern: list[tuple[float, tuple[int, ...]]], seconds: float = 8) -> Sound:
    """Sines by turns: for so many seconds these frequencies."""
    parts: list[Sound] = []
    while sum(map(len, parts)) < RATE * seconds:
        for length, frequencies in pattern:
            time = np.arange(int(RATE * length)) / RATE
            parts.append(sum((np.sin(2 * np.pi * each * time) for each in frequencies), np.zeros(len(time))))
    return levelled(np.concatenate(parts), -20)


TONES = {
    "UK ringback": [(0.4, (400, 450)), (0.2, ()), (0.4, (400, 450)), (2.0, ())],
    "US ringback": [(2.0, (440, 480)), (4.0, ())],
    "reorder": [(0.25, (480, 620)), (0.25, ())],
    "busy": [(0.5, (480, 620)), (0.5, ())],
    "dial": [(1.0, (350, 440))],
}


@pytest.mark.parametrize("name", TONES)
def test_tones_pause_no_reply(name: str) -> None:
    call = RealCall(talking=True)
    sound = np.concatenate([np.zeros(RATE), tone(TONES[name])])
    call.hear(sound + noise(sound, -70))
    assert not call.all(e.Pause)


def chord(seconds: float, db: float = -20) -> Sound:
    """Six notes that go on."""
    time = np.arange(int(RATE * seconds)) / RATE
    return levelled(sum(np.sin(2 * np.pi * each * time) for each in (262, 330, 392, 524, 660, 785)), db)


@pytest.mark.parametrize(("behind_db", "music"), [(-20, True), (-14, True), (-60, False)])
def test_a_rest_between_two_notes_is_no_end_of_a_turn(behind_db: float, music: bool) -> None:
    caller, at_ms = CallerTurn(TurnSettings()), 0
    caller.begin()
    for sound, speech in ((chord(0.16), 0.9), (np.zeros(RATE * 36 // 100), 0.0), (chord(0.2, behind_db), 0.1)):
        for frame in np.split(sound[: len(sound) // 256 * 256], len(sound) // 256):
            at_ms += WINDOW_MS
            caller.hear((frame * 32767).astype("<i2").tobytes())
            caller.detector.update(speech, at_ms)
        if not speech:
            assert not caller.was_music(at_ms)
    assert caller.was_music(at_ms) is music


def test_what_is_full_of_lines() -> None:
    def share(audio: Sound) -> float:
        music = Music()
        music.add((audio * 32767).astype("<i2").tobytes())
        return music.share(200, 1000, 32768 * 10 ** (-45 / 20), now_ms=1000)

    time = np.zeros(RATE)
    assert share(chord(1)) == 1
    assert share(noise(time, -30)) < 0.2
    assert share(np.cumsum(noise(time, -30)) / 50) < 0.2  # the room, a car: deep noise
    assert share(chord(1, -50)) == 0  # too soft
    assert Music().share(0, 100, 0, now_ms=100) == 0
