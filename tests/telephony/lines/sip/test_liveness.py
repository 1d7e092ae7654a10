"""When a silent peer is asked whether it is still there, and when it is given up."""

from hypothesis import given
from hypothesis import strategies as st

from telephony.lines.sip.liveness import MOST_QUESTIONS, Liveness, LivenessStep


def test_it_is_asked_after_each_time_out() -> None:
    liveness = Liveness(20_000)
    steps = [liveness.look(ms, by_right=True) for ms in range(0, 100_001, 500)]
    assert [500 * n for n, step in enumerate(steps) if step is not LivenessStep.NOTHING] == [
        20_500,
        40_500,
        60_500,
        80_500,
    ]
    assert set(steps) == {LivenessStep.NOTHING, LivenessStep.ASK}


def test_a_packet_begins_it_anew() -> None:
    liveness = Liveness(20_000)
    assert liveness.look(21_000, by_right=False) is LivenessStep.ASK
    assert liveness.look(21_500, by_right=False) is LivenessStep.NOTHING
    assert liveness.look(100, by_right=False) is LivenessStep.NOTHING
    assert liveness.look(20_100, by_right=False) is LivenessStep.ASK


@given(timeout_ms=st.floats(100, 60_000), every_ms=st.floats(1, 1000))
def test_a_peer_that_ought_to_send_is_given_up_in_the_end_and_one_that_need_not_never(
    timeout_ms: float, every_ms: float
) -> None:
    ought, need_not = Liveness(timeout_ms), Liveness(timeout_ms)
    asked, silent_ms = 0, 0.0
    while (step := ought.look(silent_ms, by_right=False)) is not LivenessStep.GIVE_UP:
        asked += step is LivenessStep.ASK
        assert need_not.look(silent_ms, by_right=True) is step
        silent_ms += max(every_ms, timeout_ms / 100)
    assert asked == MOST_QUESTIONS
    assert silent_ms >= timeout_ms * MOST_QUESTIONS
    assert need_not.look(silent_ms, by_right=True) is LivenessStep.ASK
