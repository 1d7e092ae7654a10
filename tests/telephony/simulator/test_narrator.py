"""The call told in lines."""

from typing import Any

from audio import g711
from audio.rate import FRAME
from telephony.simulator.ear import Talkspurt
from telephony.simulator.narrator import Narrator
from telephony.simulator.script_runner import ScriptedUtterance
from telephony.simulator.talk import Cleared, Talk

MS = 8


def test_a_call_is_told_in_order(script: Any) -> None:
    talk = Talk(script("wait"), [None], (g711.SILENCE * FRAME,), keep_audio=False)
    narrator = Narrator(talk, quiet_ms=500)
    said, spurts = talk.runner.said, talk.ear.spurts

    assert narrator.look(0) == []
    spurts += [Talkspurt(100 * MS, 600 * MS), Talkspurt(1000 * MS, 1500 * MS)]
    assert narrator.look(1900 * MS) == []  # it may go on
    assert narrator.look(2000 * MS) == ["   0.10  agent  ▸ speaks 1.4 s, first heard 100 ms after start"]

    said.append(
        ScriptedUtterance(step=2, text="hi", noise=False, answer=True, interrupts=False, onset=2100 * MS, end=2500 * MS)
    )
    assert narrator.look(2100 * MS) == ["   2.10  caller ▸ hi"]

    spurts.append(Talkspurt(3000 * MS, 4000 * MS))
    said.append(
        ScriptedUtterance(step=3, text="no", noise=False, answer=True, interrupts=True, onset=4000 * MS, end=4500 * MS)
    )
    assert narrator.look(4000 * MS) == ["   4.00  caller ▸ talks over the agent: no"]
    talk.clears.append(Cleared(at=4090 * MS, audio_at=4080 * MS, dropped=9))
    assert narrator.look(4100 * MS) == [
        "   3.00  agent  ▸ speaks 1.0 s, 500 ms after the caller; stopped 90 ms after being talked over"
    ]
    spurts.append(Talkspurt(5000 * MS, 5200 * MS))
    assert narrator.look(5200 * MS) == []
    assert narrator.look(5210 * MS, over=True) == ["   5.00  agent  ▸ speaks 0.2 s, 500 ms after the caller"]
    assert narrator.look(9000 * MS, over=True) == []
