"""A caller's script, run in virtual time."""

from collections.abc import Callable
from typing import Any

import pytest

from audio.rate import FRAME
from telephony.simulator.clip import render
from telephony.simulator.ear import Ear, Talkspurt
from telephony.simulator.script_runner import ScriptRunner

MS = 8


class Stage:
    """A runner and an agent who speaks when the test says so."""

    def __init__(self, script: Any, speak: Any, floor: tuple[bytes, ...]) -> None:
        self.clips = render(script, speak)
        self.runner = ScriptRunner(script, self.clips, floor)
        self.ear = Ear()
        self.floor = floor[0]
        self.position = 0
        self.keys: list[tuple[int, str]] = []

    def agent_speaks(self, start_ms: int, end_ms: int) -> None:
        self.ear.spurts.append(Talkspurt(start_ms * MS, end_ms * MS))

    def run(self, until_ms: int) -> list[tuple[int, bool]]:
        """Frames up to a time: (ms, whether the caller makes a sound), where that changes."""
        changes: list[tuple[int, bool]] = []
        while self.position < until_ms * MS:
            self.ear.listen(self.position)
            frame = self.runner.next_frame(self.position, self.ear)
            if self.runner.hangs_up or self.runner.error:
                break
            self.keys += [(self.position // MS, key) for key in self.runner.keys]
            self.runner.keys.clear()
            sound = frame is not self.floor
            if not changes or changes[-1][1] != sound:
                changes.append((self.position // MS, sound))
            self.position += FRAME
        return changes


@pytest.fixture
def stage(script: Any, speak: Any, floor: tuple[bytes, ...]) -> Callable[..., Stage]:
    return lambda *steps, **settings: Stage(script(*steps, **settings), speak, floor)


def test_the_caller_waits_until_the_agent_has_finished(stage: Any) -> None:
    play = stage("wait", {"say": "hello"}, "hang_up")
    assert play.run(500) == [(0, False)]
    play.agent_speaks(300, 480)
    assert play.run(2000) == [(500, False), (680, True)]  # 200 ms after the agent, 250 ms of speech in 13 frames
    assert play.position == (680 + 260) * MS
    assert play.runner.hangs_up
    assert play.runner.complete
    [said] = play.runner.said
    assert (said.step, said.text, said.onset, said.interrupts) == (2, "hello", 680 * MS, False)
    assert 245 * MS < said.end - said.onset <= 250 * MS


def test_waiting_again_for_what_was_heard_is_no_waiting(stage: Any) -> None:
    play = stage("wait", "wait", {"say": "a"}, "wait", {"say": "b"})
    play.agent_speaks(0, 100)
    assert play.run(400) == [(0, False), (300, True), (360, False)]
    play.agent_speaks(500, 600)
    assert play.run(1000)[1] == (800, True)


def test_the_script_ends_in_hanging_up(stage: Any) -> None:
    play = stage({"silence": 100})
    play.run(1000)
    assert play.runner.hangs_up
    assert play.position == 100 * MS


def test_an_agent_that_keeps_silent_ends_the_call(stage: Any) -> None:
    play = stage({"silence": 100}, "wait", timeout_ms=1000)
    play.run(5000)
    assert play.runner.error == "step 2 (wait): the agent did not speak within 1000 ms"
    assert play.runner.steps_done == 1


def test_an_agent_that_never_stops_ends_the_call(stage: Any) -> None:
    play = stage({"wait": {"timeout_ms": 500}})
    play.agent_speaks(0, 10_000)
    play.run(5000)
    assert play.runner.error == "step 1 (wait): the agent did not finish speaking within 500 ms"


def test_an_interruption_comes_so_long_after_the_agent_begins(stage: Any) -> None:
    play = stage({"say": "a"}, {"interrupt": {"after_ms": 300, "say": "stop"}})
    play.run(500)
    play.agent_speaks(510, 600)
    play.run(700)
    play.agent_speaks(1000, 5000)  # a pause, and on: it began at 510 ms
    assert play.run(1200) == [(700, False), (820, True)]
    assert [said.interrupts for said in play.runner.said] == [False, True]


def test_an_interruption_in_mid_word_waits_until_the_agent_is_within_one(stage: Any) -> None:
    """The agent pauses at a comma just when its time has come, and goes on with a short word and a long one."""
    play = stage({"interrupt": {"after_ms": 300, "mid_word": True, "say": "stop"}})
    for start, end in ((0, 290), (480, 560), (640, 1000)):
        play.ear.schedule(start * MS, b"\x00" * (end - start) * MS)  # as loud as can be
    changes = play.run(1200)
    [said] = play.runner.said
    assert changes[1] == (740, True)
    assert said.interrupts


def test_a_word_that_is_never_long_enough_ends_the_call(stage: Any) -> None:
    play = stage({"interrupt": {"after_ms": 0, "mid_word": True, "say": "stop", "timeout_ms": 400}})
    play.ear.schedule(0, b"\x00" * 150 * MS)
    play.run(5000)
    assert play.runner.error == "step 1 (interrupt): the agent did not speak on within 400 ms"


def test_an_interruption_waits_for_what_comes_next(stage: Any) -> None:
    play = stage("wait", {"interrupt": {"after_ms": 100, "say": "stop"}})
    play.agent_speaks(0, 100)
    assert play.run(1000) == [(0, False)]
    play.agent_speaks(1000, 2000)
    assert play.run(1300) == [(1000, False), (1100, True)]


def test_an_interruption_of_nothing_ends_the_call(stage: Any) -> None:
    play = stage({"interrupt": {"after_ms": 100, "say": "stop", "timeout_ms": 400}})
    play.run(5000)
    assert play.runner.error == "step 1 (interrupt): the agent did not speak within 400 ms"


def test_after_a_clear_the_agent_is_heard_anew(stage: Any) -> None:
    play = stage({"interrupt": {"after_ms": 100, "say": "stop"}}, "wait", {"say": "b"})
    play.agent_speaks(0, 150)
    play.run(200)
    play.runner.cleared(200 * MS)
    assert play.run(1000)[-1] == (300, False)  # the old utterance is no answer
    play.agent_speaks(1000, 1100)
    assert play.run(1400)[-1] == (1300, True)


def test_noises_and_asides_need_no_answer(stage: Any) -> None:
    play = stage("wait", {"noise": {"ms": 100}}, {"say": "uh", "answer": False}, "wait", {"say": "b"})
    play.agent_speaks(0, 100)
    changes = play.run(700)
    assert changes == [(0, False), (300, True)]  # noise, aside and speech follow at once
    assert [(said.noise, said.answer) for said in play.runner.said] == [(True, False), (False, False), (False, True)]


def test_keys_are_pressed_one_after_the_other(stage: Any) -> None:
    play = stage({"silence": 40}, {"dtmf": "12#"}, {"say": "a"})
    play.run(2000)
    assert play.keys == [(40, "1"), (300, "2"), (540, "#")]
    assert play.runner.complete


def test_steps_are_repeated(stage: Any) -> None:
    play = stage({"say": "a"}, {"dtmf": "1"}, {"silence": 100}, repeat=3)
    play.run(5000)
    assert [said.step for said in play.runner.said] == [1, 1, 1]
    assert [key for _, key in play.keys] == ["1"] * 3
    assert play.runner.steps_done == 9


def test_an_agent_that_is_to_hang_up_is_waited_for(stage: Any) -> None:
    play = stage({"silence": 20}, expect="hung_up_by_agent", timeout_ms=500)
    play.run(400)
    assert play.runner.complete
    assert not play.runner.hangs_up
    play.run(2000)
    assert "did not end the call in 500 ms" in play.runner.error


def test_the_last_wait_is_over_when_the_agent_leaves(stage: Any) -> None:
    play = stage({"silence": 20}, "wait")
    play.run(100)
    play.runner.agent_left()
    assert play.runner.complete
    early = stage({"silence": 20}, "wait", {"say": "a"})
    early.run(100)
    early.runner.agent_left()
    assert early.runner.steps_done == 1
