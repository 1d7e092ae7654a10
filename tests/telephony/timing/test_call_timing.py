"""A call's replies, followed from the turn's decision to their first audio."""

from hypothesis import given
from hypothesis import strategies as st

from agent import events as e
from agent.engine.base import Cue, Done, ReplyRequest
from config.streaming import TargetsSettings
from telephony.lines.metrics import Metrics
from telephony.timing.call_timing import MAX_REPLIES, CallTiming
from telephony.timing.figures import Figures

DECIDED = e.TurnDecided(2, Cue.ANSWER, 1400, 1000)
ASKED = e.StartReply(2, ReplyRequest("1", "CA1", "desk", Cue.ANSWER))
AUDIO = e.ReplyAudio(2, b"")


def follow(*items: tuple[float, e.Event | e.Command | int]) -> Figures:
    """What is made of events and commands at their times; a number is a reply whose first audio is sent."""
    figures = Figures(TargetsSettings, Metrics(), lambda: 0.0)
    timing = CallTiming(figures, "CA1")
    for at, item in items:
        if isinstance(item, int):
            timing.sent(item, at)
        else:
            timing.told(item, at)
    return figures


def test_a_reply_that_is_begun_when_its_turn_is_decided() -> None:
    figures = follow((0, DECIDED), (1, ASKED), (90, e.ReplyText(2, "Good morning.")), (150, AUDIO), (160, 2))
    assert figures.calls[0].values == {
        "first_token": [89],
        "first_audio": [60],
        "first_word": [90],
        "word_to_audio": [70],
        "perceived": [160],
        "end_to_end": [560],
    }
    assert figures.calls[0].longest_reply_words == 2


def test_what_was_there_before_the_decision_took_no_time() -> None:
    figures = follow((0, ASKED), (90, e.ReplyText(2, "Yes.")), (150, AUDIO), (300, DECIDED), (302, 2))
    values = figures.calls[0].values
    assert (values["first_word"], values["word_to_audio"], values["perceived"]) == ([0], [2], [2])


def test_speech_while_the_model_still_writes_is_counted() -> None:
    done = e.ReplyDone(2, Done())
    for items, count in (([(1, AUDIO), (2, done)], 1), ([(1, done), (2, AUDIO)], 0)):
        figures = follow((0, DECIDED), (0, ASKED), (1, e.ReplyText(2, "Yes.")), *items)
        assert figures.counts()["concurrent_tts_triggers"] == count
        assert figures.counts()["concurrent_tts_share"] == count


def test_how_soon_the_agent_falls_silent_and_what_was_heard_meanwhile() -> None:
    hold = e.Pause(3, 9000, None)
    figures = follow((0, e.Partial(1, "wai")), (0, e.Partial(1, "")), (0, e.Pause(2, 5090, 5000)), (1, hold))
    assert figures.calls[0].values == {"interruption_response": [90]}
    assert figures.counts()["partial_transcripts_received"] == 1


def test_what_comes_of_a_reply_after_its_first_audio_was_sent_is_still_part_of_it() -> None:
    begun = [
        (0, DECIDED),
        (0, ASKED),
        (10, e.ReplyText(2, "One two ")),
        (20, e.ReplyDone(2, Done())),
        (30, AUDIO),
        (31, 2),
    ]
    figures = follow(*begun, (40, e.ReplyText(2, "three four five.")), (50, AUDIO), (51, 2))
    call = figures.calls[0]
    assert (call.longest_reply_words, call.replies, call.concurrent_tts_triggers) == (5, 1, 0)
    assert all(len(values) == 1 for values in call.values.values())


ITEMS = st.sampled_from(
    [DECIDED, ASKED, AUDIO, e.ReplyText(2, "Yes."), e.ReplyDone(2, Done()), 2, e.ReplyText(3, ""), e.ReplyAudio(9, b"")]
)


@given(st.lists(ITEMS, max_size=40))
def test_no_time_is_below_zero_in_whatever_order_things_happen(items: list[e.Event | e.Command | int]) -> None:
    figures = follow(*enumerate(items))
    assert all(ms >= 0 for values in figures.calls[0].values.values() for ms in values)


def test_replies_that_never_come_to_speech_are_forgotten() -> None:
    timing = CallTiming(Figures(TargetsSettings, Metrics(), lambda: 0.0), "CA1")
    for reply in range(100):
        timing.told(e.ReplyText(reply, "Yes."), 0)
    assert len(timing._replies) == MAX_REPLIES
