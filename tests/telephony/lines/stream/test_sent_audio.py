"""What a recording is told of the agent's audio: blocks that follow one another, holes, and what a pause takes back."""

from telephony.lines.line import Listener
from telephony.lines.stream.sent_audio import SentAudio

BLOCK = b"\x00" * 640  # 80 ms


class Told(Listener):
    """Writes down what it is told."""

    taping = False

    def __init__(self) -> None:
        self.news: list[tuple[object, ...]] = []

    def sent(self, pcm: bytes, in_ms: float = 0.0, hole_ms: float | None = None) -> None:
        self.news.append((len(pcm) // 16, in_ms, hole_ms))

    def taken_back(self, ms: float) -> None:
        self.news.append(("back", ms))

    async def closed(self) -> None: ...


def test_only_the_first_block_of_a_reply_is_placed_by_the_clock() -> None:
    told = Told()
    sent = SentAudio(told)
    sent.block(1, BLOCK, 0, 0, 0)
    sent.block(1, BLOCK, 640, 75, 0)
    sent.block(1, BLOCK, 1280, 0, 30)
    sent.block(2, BLOCK, 0, 12, 0)  # of the next reply
    assert told.news == [(80, 0, None), (80, 75, 0), (80, 0, 30), (80, 12, None)]


def test_a_pause_takes_back_what_was_not_heard_and_the_fade_follows_at_once() -> None:
    told = Told()
    sent = SentAudio(told)
    sent.block(1, BLOCK, 0, 0, 0)
    sent.block(1, BLOCK, 640, 80, 0)
    sent.paused(1, 100, BLOCK[:160])
    sent.block(1, BLOCK, 800, 0, 0)
    assert told.news[2:] == [("back", 60), (20, 0, 0), (80, 0, None)]


def test_a_pause_before_a_block_was_sent_takes_nothing_back() -> None:
    told = Told()
    sent = SentAudio(told)
    sent.paused(1, 0, b"")
    sent.block(1, BLOCK, 0, 5, 0)
    assert told.news == [(80, 5, None)]


def test_a_pause_before_a_block_of_the_next_reply_was_sent_takes_nothing_of_the_last_one_back() -> None:
    told = Told()
    sent = SentAudio(told)
    sent.block(1, BLOCK, 0, 0, 0)
    sent.paused(2, 0, BLOCK[:80])
    sent.block(2, BLOCK, 80, 7, 0)
    assert told.news == [(80, 0, None), (10, 0, None), (80, 7, None)]
