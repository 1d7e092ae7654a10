"""A call in the time of its audio: heard, answered, paused and interrupted by the real parts."""

from pathlib import Path

import numpy as np
import pytest

import config
from agent import events as e
from agent.engine.embedded.moonshine import Moonshine, model_folder
from agent.engine.embedded.moonshine_recognizer import MoonshineRecognizer
from agent.listening.vad import Vad
from audio import resample
from audio.rate import RATE
from bench.virtual_call import VirtualCall
from config.agent import load_agents
from config.settings import Settings
from telephony.simulator.voices import CallerVoice


def spoken(text: str, before_ms: int, after_ms: int) -> bytes:
    audio = resample.resample(*CallerVoice()(text, "am_michael", 1.0), RATE)
    pcm = resample.to_pcm16(np.pad(audio, (8 * before_ms, 8 * after_ms)))
    return pcm[: len(pcm) // 320 * 320]


@pytest.mark.parametrize(("text", "ended"), [("No, wait.", True), ("Okay.", False)])
async def test_a_question_is_answered_and_the_answer_talked_over(text: str, ended: bool) -> None:
    agents = load_agents(Path(config.__file__).parent / "agents")
    recognizer = MoonshineRecognizer(agents, Moonshine(model_folder()))
    call = VirtualCall("CA1", "front_desk", recognizer, Vad(), Settings())
    await call.start()
    await call.hear(spoken("What are your opening hours?", 2200, 1500))
    greeted, answered = call.times(e.TurnDecided)
    assert greeted == 0
    assert 2200 < answered < 5500
    assert not call.times(e.Pause)
    await call.hear(spoken(text, 200, 3000))
    assert call.times(e.Pause)
    assert bool(call.times(e.Interrupted)) is ended
    assert bool(call.times(e.Resume)) is not ended
    said = [command for _, command in call.commands if isinstance(command, e.Said) and command.role == "caller"]
    assert said[0].text == "What are your opening hours?"
    call.close()
    await recognizer.close()
