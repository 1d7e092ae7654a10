"""Who is heard, who waits, who gets which answer; with the real model, on one thread."""

from itertools import pairwise

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.engine.base import Transcript
from agent.engine.realtime.model import RealtimeModel, Work
from agent.engine.realtime.transcriber import MAX_UTTERANCES, Transcriber
from agent.exceptions import DeviceLost, EngineError
from audio.rate import RATE, WIDE_RATE
from tests.agent.engine.realtime.conftest import STREAMS, Parts
from tests.agent.engine.realtime.hearing import Answers, block, blocks, tones


@pytest.fixture
def transcriber(model: RealtimeModel, parts: Parts) -> Transcriber:
    return Transcriber(model, parts.processor, STREAMS)


def run(transcriber: Transcriber) -> int:
    """Steps until nobody has audio left."""
    steps = 0
    while transcriber.step():
        steps += 1
    return steps


def hear(transcriber: Transcriber, name: str, pcm: bytes, call: str = "", wide: bytes = b"") -> Answers:
    answers = Answers()
    transcriber.hear(block(name, pcm, call, wide), answers)
    return answers


def finish(transcriber: Transcriber, name: str) -> Answers:
    answers = Answers()
    transcriber.finish(name, answers)
    return answers


def final(parts: Parts, pcm: bytes, rate: int = RATE) -> list[str]:
    """What the whole may be transcribed as: with all the silence after it, or as much as a quiet end needs."""
    tokens = parts.generated(pcm, rate)
    return [parts.text(tokens[:count]) for count in range(len(tokens) - 20, len(tokens) + 1)]


def test_partial_transcripts_grow_into_the_final_one(transcriber: Transcriber, parts: Parts) -> None:
    pcm, partials = tones(1, 4), []
    for piece in blocks(pcm, 3200):
        answers = hear(transcriber, "u", piece)
        run(transcriber)
        assert len(answers) == 1
        partials += answers.texts
    assert partials[0] == partials[1] == ""  # the words are 480 ms behind
    for before, after in pairwise(partials):
        assert after.startswith(before)
    assert len(set(partials)) > 8
    answers = finish(transcriber, "u")
    assert run(transcriber) <= 17 + 2
    (last,) = answers
    assert isinstance(last, Transcript)
    assert last.final
    assert last.text.startswith(partials[-1])
    assert last.text in final(parts, pcm)


def test_finishing_needs_no_time(transcriber: Transcriber) -> None:
    hear(transcriber, "u", tones(1, 1))
    answers = finish(transcriber, "u")
    run(transcriber)
    assert [isinstance(answer, Transcript) and answer.final for answer in answers] == [True]


def test_an_unknown_utterance_is_empty(transcriber: Transcriber) -> None:
    assert finish(transcriber, "never heard of") == [Transcript("", final=True)]
    transcriber.cancel("never heard of")
    assert not transcriber.step()


def test_beyond_the_streams_they_wait_and_are_then_heard_from_their_first_word(
    transcriber: Transcriber, parts: Parts
) -> None:
    for name in "abcd":
        assert not hear(transcriber, name, tones(ord(name), 1))
    late = hear(transcriber, "late", tones(9, 1))
    assert late == [Transcript("")]
    late_end = finish(transcriber, "late")
    run(transcriber)
    assert not late_end
    ends = {name: finish(transcriber, name) for name in "abcd"}
    run(transcriber)
    for name, answers in [*ends.items(), ("late", late_end)]:
        (text,) = answers.texts
        assert text in final(parts, tones(9 if name == "late" else ord(name), 1))


def test_cancel_frees_the_slot_at_once(transcriber: Transcriber) -> None:
    for name in "abcd":
        hear(transcriber, name, tones(1, 1))
    assert hear(transcriber, "late", tones(2, 1)) == [Transcript("")]
    finish_of_waiting = finish(transcriber, "late")
    transcriber.step()
    pending = hear(transcriber, "b", tones(3, 1))
    transcriber.cancel("b")
    assert pending == [Transcript("")]  # who asked is not left alone
    run(transcriber)
    assert len(finish_of_waiting.texts) == 1


def test_a_failing_step_costs_the_newest_utterance_only(
    transcriber: Transcriber, model: RealtimeModel, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = hear(transcriber, "old", tones(1, 1)), hear(transcriber, "new", tones(2, 1))
    transcriber.step()
    with monkeypatch.context() as broken:
        broken.setattr(parts.network.lm_head, "forward", _out_of_memory)
        assert transcriber.step()
    assert not old
    (error,) = new
    assert isinstance(error, EngineError)
    assert "engine.realtime.streams" in str(error)
    assert hear(transcriber, "new", tones(2, 1)) == [error]  # not its second half alone
    assert finish(transcriber, "new") == [error]
    assert finish(transcriber, "new") == [Transcript("", final=True)]  # forgotten
    end = finish(transcriber, "old")
    run(transcriber)
    assert end.texts[0] in final(parts, tones(1, 1))


def _out_of_memory(_: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_failing_step_at_the_end_of_an_utterance(
    transcriber: Transcriber, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear(transcriber, "u", tones(1, 1))
    answers = finish(transcriber, "u")
    monkeypatch.setattr(parts.network.lm_head, "forward", _out_of_memory)
    run(transcriber)
    assert isinstance(answers[0], EngineError)
    assert finish(transcriber, "u") == [Transcript("", final=True)]


def test_a_gpu_that_is_lost_is_told(transcriber: Transcriber, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(_: object) -> None:
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    hear(transcriber, "u", tones(1, 1))
    answers = finish(transcriber, "u")
    monkeypatch.setattr(parts.network.lm_head, "forward", lose)
    run(transcriber)
    assert isinstance(answers[0], DeviceLost)


def test_utterances_are_bounded(transcriber: Transcriber) -> None:
    for number in range(MAX_UTTERANCES):
        hear(transcriber, str(number), b"")
    (error,) = hear(transcriber, "one more", b"")
    assert isinstance(error, EngineError)
    transcriber.cancel("7")
    assert hear(transcriber, "one more", b"") == [Transcript("")]


def test_what_was_heard_is_not_heard_again_when_the_caller_goes_on(transcriber: Transcriber, parts: Parts) -> None:
    pcm = tones(1, 4)
    hear(transcriber, "below", tones(5, 0.2))
    hear(transcriber, "u1", pcm[:48000], "call")
    first = finish(transcriber, "u1")
    fresh = run(transcriber)
    for name in ("above", "below"):  # in the slots on either side
        hear(transcriber, name, tones(6))
    run(transcriber)
    transcriber.cancel("u1")  # which is over: no harm
    hear(transcriber, "u2", pcm, "call")  # as a session does it: all of it again, and more
    second = finish(transcriber, "u2")
    steps = run(transcriber)
    assert first.texts[0] in final(parts, pcm[:48000])
    assert second.texts[0] in final(parts, pcm)
    assert second.texts != first.texts
    assert steps <= 13 + 17
    assert fresh >= 37 + 7
    hear(transcriber, "u3", tones(8), "call")  # something else
    third = finish(transcriber, "u3")
    run(transcriber)
    assert third.texts[0] in final(parts, tones(8))


def test_of_a_wide_band_line_16_khz_is_heard_and_gone_on_with(transcriber: Transcriber, parts: Parts) -> None:
    narrow, wide = tones(1, 4), tones(2, 4, WIDE_RATE)
    for at in range(0, 48_000, 3200):
        hear(transcriber, "u1", narrow[at : at + 3200], "call", wide[2 * at : 2 * at + 6400])
    first = finish(transcriber, "u1")
    run(transcriber)
    hear(transcriber, "u2", narrow, "call", wide)
    second = finish(transcriber, "u2")
    assert run(transcriber) <= 13 + 17
    assert first.texts[0] in final(parts, wide[:96_000], WIDE_RATE)
    assert second.texts[0] in final(parts, wide, WIDE_RATE)
    assert second.texts[0] not in final(parts, narrow)


def test_slots_kept_for_callers_who_might_go_on_are_there_for_others(transcriber: Transcriber, parts: Parts) -> None:
    for number in range(STREAMS + 2):
        assert not hear(transcriber, f"u{number}", tones(number, 0.5), f"call {number}")  # none has to wait
        answers = finish(transcriber, f"u{number}")
        run(transcriber)
        assert answers.texts[0] in final(parts, tones(number, 0.5))


def test_close_answers_everybody(transcriber: Transcriber) -> None:
    pending = [hear(transcriber, name, tones(1)) for name in "abc"]
    pending.append(finish(transcriber, "c"))
    error = EngineError("closed")
    transcriber.close(error)
    assert pending == [[error]] * 4
    assert not transcriber.step()


NAMES = st.sampled_from("abcdef")
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), NAMES, st.integers(0, 2000)),
        st.tuples(st.sampled_from(["finish", "cancel", "step", "fail"]), NAMES, st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=ACTIONS)
def test_no_slot_is_ever_lost_and_every_question_answered_once(
    model: RealtimeModel, parts: Parts, monkeypatch: pytest.MonkeyPatch, actions: list[tuple[str, str, int]]
) -> None:
    transcriber = Transcriber(model, parts.processor, STREAMS)
    asked: list[Answers] = []
    finishing: set[str] = set()  # calls for one utterance come one after another
    for action, name, samples in actions:
        if action == "hear" and name not in finishing:
            asked.append(hear(transcriber, name, tones(1, 0.2)[: 2 * samples], name.lower()))
        elif action == "finish" and name not in finishing:
            asked.append(finish(transcriber, name))
            finishing.add(name)
        elif action == "cancel":
            transcriber.cancel(name)
            finishing.discard(name)
        elif action == "fail":
            with monkeypatch.context() as broken:
                broken.setattr(model, "step", _fail)
                transcriber.step()
        else:
            transcriber.step()
    for name in "abcdef":
        if name not in finishing:
            asked.append(finish(transcriber, name))
    run(transcriber)
    assert [len(answers) for answers in asked] == [1] * len(asked)
    fresh = [hear(transcriber, f"new {number}", tones(1, 0.1)) for number in range(STREAMS)]
    assert fresh == [[]] * STREAMS  # every slot can be had
    assert hear(transcriber, "one more", tones(1, 0.1)) == [Transcript("")]


def _fail(_: list[Work]) -> list[int]:
    raise RuntimeError("a step failed")
