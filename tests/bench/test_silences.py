"""What follows from one hearing of a turn is what calls with other settings do."""

from math import inf
from pathlib import Path

import msgspec
import numpy as np
import pytest

import config
from agent import events as e
from agent.engine.base import Cue, Expect
from agent.engine.embedded.moonshine import Moonshine, model_folder
from agent.engine.embedded.moonshine_recognizer import MoonshineRecognizer
from agent.listening.vad import Vad
from audio import resample
from audio.rate import RATE
from bench.silences import BEFORE_MS, PatientCall, Spell, by_telephone, fired_ms, heard_ms
from bench.virtual_call import HEARD_MS, SPOKEN_MS, VirtualCall
from config.agent import load_agents
from config.settings import Settings, TurnSettings
from telephony.simulator.voices import CallerVoice

ALONE = dict.fromkeys(("adapt_question", "adapt_pauses", "adapt_words", "adapt_reply", "adapt_transcript"), False)
SPELL = Spell(1000, 40, 10, Expect.OPEN, (), None, None, None, False, False)  # silences of 40 to 220 ms


def waiting(ms: int) -> TurnSettings:
    return TurnSettings(endpoint_ms=ms, endpoint_min_ms=ms, endpoint_max_ms=ms, **ALONE)


@pytest.mark.parametrize(("wait", "at_ms"), [(50, 1020), (100, 1060), (101, 1080), (220, 1180), (221, None)])
def test_a_turn_ends_with_the_first_frame_whose_silence_is_long_enough(wait: int, at_ms: float | None) -> None:
    assert fired_ms([SPELL], waiting(wait), 0, inf) == at_ms


def test_only_what_lies_between_two_times_counts() -> None:
    later = msgspec.structs.replace(SPELL, at_ms=2000)
    assert fired_ms([SPELL, later], waiting(100), 1000, 1060) is None
    assert fired_ms([SPELL, later], waiting(100), 1100, 3000) == 1100  # it has ended before, and now ends at once
    assert fired_ms([SPELL, later], waiting(100), 1200, 3000) == 2060


def test_an_answer_is_heard_once_it_is_there() -> None:
    ready = msgspec.structs.replace(SPELL, at_ms=1200, silence_ms=240, ready=True)
    assert heard_ms([SPELL, ready], 1100) == 1200
    assert heard_ms([SPELL, ready], 1300) == 1300
    assert heard_ms([SPELL], 1100) == 1100 + HEARD_MS + SPOKEN_MS  # it was not begun before


@pytest.mark.parametrize(
    ("turn", "cut_off"), [({}, False), ({"endpoint_complete_ms": 500}, False), ({**ALONE, "endpoint_ms": 400}, True)]
)
async def test_calls_with_these_settings_end_the_turn_just_then(turn: dict[str, int], cut_off: bool) -> None:
    settings = Settings(turn=TurnSettings(**turn))
    parts = [resample.resample(*CallerVoice()(text, "am_michael", 1.0), RATE) for text in ("One two.", "Three four.")]
    pcm = by_telephone(np.concatenate([parts[0], np.zeros(8 * 600, np.float32), parts[1]]), BEFORE_MS, 1500)
    begin_ms, end_ms = len(parts[0]) / 8, sum(map(len, parts)) / 8 + 600
    agents = load_agents(Path(config.__file__).parent / "agents")
    recognizer, vad = MoonshineRecognizer(agents, Moonshine(model_folder())), Vad()
    patient = PatientCall("CA1", "front_desk", recognizer, vad, expect=Expect.DIGITS)
    call = VirtualCall("CA2", "front_desk", recognizer, vad, settings, expect=Expect.DIGITS)
    for each in (patient, call):
        await each.start()
        await each.hear(pcm)
        each.close()
    await recognizer.close()
    assert [command.cue for _, command in patient.commands if isinstance(command, e.TurnDecided)] == [Cue.GREET]
    decided = call.times(e.TurnDecided)[1] - BEFORE_MS
    assert (decided < end_ms) is cut_off
    assert fired_ms(patient.spells, settings.turn, begin_ms - 100, inf) == decided
