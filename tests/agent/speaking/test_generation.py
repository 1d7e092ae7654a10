"""A call's dealings with its engine, with small engines whose every step the test decides."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent import events as e
from agent.engine.base import (
    Backchannel,
    Cue,
    Done,
    Engine,
    Expect,
    Meaning,
    ModelEvent,
    ReplyRequest,
    SpeakRequest,
    Speech,
    SpeechBlock,
    Text,
    ToolCall,
    Transcript,
    Word,
    clearest,
)
from agent.exceptions import EngineError
from agent.records import Records
from agent.speaking import generation as reply_module
from agent.speaking.generation import Generation
from agent.tools import Tools
from config.agent import AgentSettings, ToolSettings
from config.logging import Log
from config.settings import ReplySettings
from config.streaming import RecognitionSettings


class Part:
    """What every part of an engine can do; remembers what was cancelled."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []
        self.was_cancelled = asyncio.Event()

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    def cancel(self, name: str) -> None:
        self.cancelled.append(name)
        self.was_cancelled.set()


class Model(Part):
    def __init__(self, *events: ModelEvent | Exception | asyncio.Event) -> None:
        super().__init__()
        self.events = events
        self.requests: list[ReplyRequest] = []
        self.closed = 0

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        self.requests.append(request)
        try:
            for event in self.events:
                if isinstance(event, Exception):
                    raise event
                if isinstance(event, asyncio.Event):
                    await event.wait()
                else:
                    yield event
        finally:
            self.closed += 1


class Voice(Part):
    """Speaks a chunk when it is let: one piece of 100 ms per word."""

    def __init__(self) -> None:
        super().__init__()
        self.spoken: list[str] = []
        self.requests: list[SpeakRequest] = []
        self.running = self.most_running = 0
        self.gate: dict[str, asyncio.Event] = {}
        self.error: Exception | None = None

    async def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        self.spoken.append(request.text)
        self.requests.append(request)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if gate := self.gate.get(request.text):
                await gate.wait()
            if self.error:
                raise self.error
            for word in request.text.split():
                yield Speech(np.zeros(2400, np.float32), 24_000, (Word(word, 0, 100),))
        finally:
            self.running -= 1


class HaltingVoice(Voice):
    """Halts after the first word of each chunk until it is let."""

    def __init__(self, go_on: asyncio.Event) -> None:
        super().__init__()
        self.halted = asyncio.Event()
        self._go_on = go_on

    async def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        async with aclosing(super().speak(request)) as pieces:
            async for piece in pieces:
                yield piece
                self.halted.set()
                await self._go_on.wait()


class Ears(Part):
    def __init__(self) -> None:
        super().__init__()
        self.heard: dict[str, bytes] = {}
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.gates: dict[str, asyncio.Event] = {}  # of one utterance

    async def hear(self, block: SpeechBlock) -> Transcript:
        if gate := self.gate or self.gates.get(block.utterance):
            await gate.wait()
        if self.error:
            raise self.error
        self.heard[block.utterance] = self.heard.get(block.utterance, b"") + clearest(block)[0]
        return Transcript(f"{len(self.heard[block.utterance])} bytes")

    async def finish(self, utterance: str) -> Transcript:
        if gate := self.gates.get(f"finish {utterance}"):
            await gate.wait()
        if self.error:
            raise self.error
        return Transcript(f"all {len(self.heard.pop(utterance, b''))}", final=True)


class Bench:
    """One call's `Replies` with the events it gave."""

    def __init__(
        self,
        model: Model,
        voice: Voice,
        ears: Ears | None,
        folder: Path,
        *,
        transcribes_in_background: bool = False,
        wide: bool = False,
        recognition: RecognitionSettings | None = None,
        **settings: Any,
    ) -> None:
        self.events: list[e.Event] = []
        self._news = asyncio.Event()
        agent = AgentSettings(name="desk", voice="v", tools={"note": ToolSettings(file="notes.jsonl")})
        self.replies = Generation(
            "CA1",
            agent,
            Engine(model, voice, ears, transcribes_in_background),
            Tools(agent.tools, Records(folder)),
            ReplySettings(**settings),
            recognition=recognition or RecognitionSettings(),
            emit=self._emit,
            log=Log(logging.getLogger("test"), {}),
        )
        self.replies.wide = wide

    def _emit(self, event: e.Event) -> None:
        self.events.append(event)
        self._news.set()

    async def until(self, kind: type[e.Event], count: int = 1) -> Any:
        async with asyncio.timeout(30):
            while len(found := self.all(kind)) < count:
                self._news.clear()
                await self._news.wait()
        return found[-1]

    def all(self, kind: type[e.Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[Callable[..., Bench], None]:
    made: list[Bench] = []

    def make(model: Model, voice: Voice | None = None, ears: Ears | None = None, **settings: Any) -> Bench:
        made.append(Bench(model, voice or Voice(), ears, tmp_path, **settings))
        return made[-1]

    yield make
    for each in made:
        await each.replies.close()


def start(reply: int = 1, utterance: int | None = None) -> e.StartReply:
    return e.StartReply(reply, ReplyRequest(f"CA1/{reply}.0", "CA1", "desk", Cue.ANSWER), utterance)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_words_become_audio_in_order_with_their_times(bench: Callable[..., Bench]) -> None:
    voice = Voice()
    case = bench(Model(Text("Well then, we are "), Text("open on Monday. "), Text("Anything else?"), Done()), voice)
    case.replies.start(start())
    await case.until(e.ReplyEnded)
    assert voice.spoken == ["Well then,", "we are open on Monday.", "Anything else?"]
    words = [word.text for audio in case.all(e.ReplyAudio) for word in audio.words]
    assert words == "Well then, we are open on Monday. Anything else?".split()
    assert all(len(audio.pcm) == 1600 for audio in case.all(e.ReplyAudio))
    kinds = [type(event).__name__ for event in case.events]
    assert kinds.index("ReplyDone") < kinds.index("ReplyEnded") == len(kinds) - 1


async def test_speech_starts_while_the_model_still_writes(bench: Callable[..., Bench]) -> None:
    more = asyncio.Event()
    case = bench(Model(Text("Well then, we "), more, Text("are open."), Done()))
    case.replies.start(start())
    await case.until(e.ReplyAudio)
    assert not case.all(e.ReplyDone)
    more.set()
    await case.until(e.ReplyEnded)


async def test_chunks_are_made_at_once_up_to_the_limit_and_played_in_order(bench: Callable[..., Bench]) -> None:
    voice = Voice()
    texts = ["One is first,", "two is the second of all.", "Three is the third of all.", "Four is the last of them."]
    voice.gate = {text: asyncio.Event() for text in texts}
    case = bench(Model(Text(" ".join(texts)), Done()), voice, concurrent_tts_streams=3)
    case.replies.start(start())
    await settle()
    assert voice.most_running >= 3
    for text in (texts[2], texts[1], texts[3]):
        voice.gate[text].set()
    await settle()
    assert not case.all(e.ReplyAudio)
    voice.gate[texts[0]].set()
    await case.until(e.ReplyEnded)
    assert [word.text for audio in case.all(e.ReplyAudio) for word in audio.words] == " ".join(texts).split()
    assert voice.most_running <= 4


async def test_the_line_can_make_the_engine_wait(bench: Callable[..., Bench]) -> None:
    case = bench(Model(Text("One two three four five."), Done()))
    case.replies.room.clear()
    case.replies.start(start())
    await settle()
    assert not case.all(e.ReplyAudio)
    case.replies.room.set()
    await case.until(e.ReplyEnded)
    assert len(case.all(e.ReplyAudio)) == 5


async def test_cancelling_stops_model_and_voice_and_nothing_follows(bench: Callable[..., Bench]) -> None:
    model, voice = Model(Text("Well then, we are open. "), asyncio.Event()), Voice()
    voice.gate["Well then,"] = asyncio.Event()
    case = bench(model, voice)
    case.replies.start(start())
    await settle()
    assert voice.running == 1
    case.replies.cancel(1)
    case.replies.cancel(1)
    await settle()
    assert (voice.running, model.closed) == (0, 1)
    assert model.cancelled == ["CA1/1.0"]
    assert voice.cancelled == ["CA1/1.0.0"]
    assert [type(event) for event in case.events] == [e.ReplyText]


@pytest.mark.parametrize("where", ["model", "voice"])
@pytest.mark.parametrize("error", [EngineError("broken"), ValueError("a bug")])
async def test_an_engine_that_fails_fails_one_reply(bench: Callable[..., Bench], where: str, error: Exception) -> None:
    voice = Voice()
    voice.error = error if where == "voice" else None
    events = (Text("Hello there. "), error) if where == "model" else (Text("Hello there. "), Done())
    case = bench(Model(*events), voice)
    case.replies.start(start())
    failed = await case.until(e.ReplyFailed)
    assert str(error) in failed.reason
    assert not case.all(e.ReplyEnded)
    await settle()
    assert voice.running == 0


@pytest.mark.looptime
async def test_an_engine_that_says_nothing_is_given_up(bench: Callable[..., Bench]) -> None:
    case = bench(Model(asyncio.Event()), timeout_s=0.05)
    case.replies.start(start())
    assert "nothing came" in (await case.until(e.ReplyFailed)).reason


@pytest.mark.looptime
async def test_waiting_for_the_callers_ear_is_no_time_out(bench: Callable[..., Bench]) -> None:
    case = bench(Model(Text("One two."), Done()), timeout_s=0.05)
    case.replies.room.clear()
    case.replies.start(start())
    await asyncio.sleep(0.15)
    case.replies.room.set()
    await case.until(e.ReplyEnded)
    assert not case.all(e.ReplyFailed)


async def test_the_recognizer_hears_all_before_the_model_is_asked(bench: Callable[..., Bench]) -> None:
    ears, model = Ears(), Model(Text("Yes."), Done())
    ears.gate = asyncio.Event()
    case = bench(model, None, ears)
    for _ in range(3):
        case.replies.hear(e.Hear(7, bytes(100), Expect.OPEN))
    case.replies.start(start(utterance=7))
    await settle()
    assert not model.requests
    ears.gate.set()
    await case.until(e.ReplyEnded)
    assert [partial.text for partial in case.all(e.Partial)] == ["100 bytes", "200 bytes", "300 bytes"]
    assert case.all(e.CallerSaid) == [e.CallerSaid(1, "all 300")]
    assert model.requests[0].transcript == "all 300"


async def test_without_streaming_the_recognizer_hears_an_utterance_when_it_is_over(bench: Callable[..., Bench]) -> None:
    ears, model = Ears(), Model(Text("Yes."), Done())
    case = bench(model, None, ears, recognition=RecognitionSettings(streaming=False))
    case.replies.hear(e.Hear(6, bytes(10), Expect.OPEN))
    case.replies.hear(e.Hear(7, bytes(100), Expect.OPEN))
    case.replies.forget(6)
    case.replies.hear(e.Hear(7, bytes(100), Expect.OPEN))
    await settle()
    assert not ears.heard
    case.replies.start(start(utterance=7))
    await case.until(e.ReplyEnded)
    assert case.all(e.CallerSaid) == [e.CallerSaid(1, "all 200")]


async def test_without_partials_only_the_last_words_count(bench: Callable[..., Bench]) -> None:
    ears, model = Ears(), Model(Text("Yes."), Done())
    case = bench(model, None, ears, recognition=RecognitionSettings(partials=False))
    case.replies.hear(e.Hear(7, bytes(100), Expect.OPEN))
    case.replies.start(start(utterance=7))
    await case.until(e.ReplyEnded)
    assert not case.all(e.Partial)
    assert case.all(e.CallerSaid) == [e.CallerSaid(1, "all 100")]


async def test_without_speech_streaming_a_piece_is_heard_when_all_of_it_is_there(bench: Callable[..., Bench]) -> None:
    for streaming, heard in ((True, 1), (False, 0)):
        stop = asyncio.Event()
        voice = HaltingVoice(stop)
        case = bench(Model(Text("One two. "), Done()), voice, speech_streaming=streaming)
        case.replies.start(start())
        await voice.halted.wait()
        await settle()
        assert len(case.all(e.ReplyAudio)) == heard
        stop.set()
        await case.until(e.ReplyEnded)
        assert len(case.all(e.ReplyAudio)) == 2


async def test_on_a_wide_band_line_ears_and_line_have_16_khz(tmp_path: Path) -> None:
    ears, model = Ears(), Model(Text("Yes."), Done())
    case = Bench(model, Voice(), ears, tmp_path, wide=True)
    for _ in range(2):
        case.replies.hear(e.Hear(7, bytes(100), Expect.OPEN, wide=bytes(200)))
    case.replies.start(start(utterance=7))
    await case.until(e.ReplyEnded)
    assert [partial.text for partial in case.all(e.Partial)] == ["200 bytes", "400 bytes"]
    (spoken,) = case.all(e.ReplyAudio)
    assert (len(spoken.pcm), len(spoken.wide)) == (1600, 3200)
    await case.replies.close()


@pytest.mark.parametrize("error", [EngineError("no ears"), ValueError("a bug")])
async def test_a_recognizer_that_fails_loses_only_what_it_was_told(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    ears, model = Ears(), Model(Done())
    case = bench(model, None, ears)
    ears.error = error
    case.replies.hear(e.Hear(1, bytes(100), Expect.OPEN))
    await settle()
    assert str(error) in caplog.text
    ears.error = None
    case.replies.hear(e.Hear(1, bytes(50), Expect.OPEN))
    case.replies.start(start(utterance=1))
    await case.until(e.ReplyEnded)
    assert model.requests[0].transcript == "all 50"


async def test_what_was_forgotten_is_not_heard_any_more_and_nothing_else_is_lost(bench: Callable[..., Bench]) -> None:
    ears, model = Ears(), Model(Done())
    ears.gate = asyncio.Event()
    case = bench(model, None, ears)
    for utterance in (1, 2, 1, 3, 2):
        case.replies.hear(e.Hear(utterance, bytes(utterance), Expect.OPEN))
    case.replies.start(start(utterance=1))
    await settle()
    case.replies.forget(2)
    ears.gate.set()
    await case.until(e.ReplyEnded)
    assert model.requests[0].transcript == "all 2"
    assert ears.heard == {"CA1/u3": bytes(3)}


async def test_the_model_does_not_wait_for_what_is_said_later(bench: Callable[..., Bench]) -> None:
    ears, model = Ears(), Model(Done())
    ears.gates["CA1/u2"] = asyncio.Event()
    case = bench(model, None, ears)
    case.replies.hear(e.Hear(1, bytes(100), Expect.OPEN))
    case.replies.start(start(utterance=1))
    await asyncio.sleep(0)  # its turn is over
    case.replies.hear(e.Hear(2, bytes(100), Expect.OPEN))
    await case.until(e.ReplyEnded)
    assert model.requests[0].transcript == "all 100"


@pytest.mark.looptime
async def test_a_reply_that_is_cancelled_or_given_up_leaves_nothing_with_the_recognizer(
    bench: Callable[..., Bench],
) -> None:
    ears = Ears()
    ears.gates = {name: asyncio.Event() for name in ("finish CA1/u1", "CA1/u2")}
    case = bench(Model(Done()), None, ears, timeout_s=0.05)
    case.replies.start(start(1, utterance=1))
    await settle()
    case.replies.cancel(1)
    await settle()
    assert ears.cancelled == ["CA1/u1"]
    case.replies.hear(e.Hear(2, bytes(100), Expect.OPEN))
    case.replies.start(start(2, utterance=2))
    await case.until(e.ReplyFailed)
    assert ears.cancelled == ["CA1/u1", "CA1/u2"]


async def test_a_recognizer_beside_the_model_is_not_waited_for(bench: Callable[..., Bench]) -> None:
    ears, model = Ears(), Model(Text("Yes."), Done())
    ears.gate = asyncio.Event()
    case = bench(model, None, ears, transcribes_in_background=True)
    case.replies.hear(e.Hear(7, bytes(100), Expect.OPEN))
    case.replies.start(start(utterance=7))
    await case.until(e.ReplyEnded)
    assert model.requests[0].transcript is None
    case.replies.transcribe(7)
    case.replies.cancel(1)
    await settle()
    assert not case.all(e.Transcribed)
    ears.gate.set()
    assert await case.until(e.Transcribed) == e.Transcribed(7, "all 100")
    assert not case.all(e.CallerSaid)


async def test_a_transcript_does_not_wait_for_what_is_said_later(bench: Callable[..., Bench]) -> None:
    ears = Ears()
    ears.gates["CA1/u8"] = asyncio.Event()
    case = bench(Model(Done()), None, ears, transcribes_in_background=True)
    case.replies.hear(e.Hear(7, bytes(100), Expect.OPEN))
    case.replies.transcribe(7)
    await asyncio.sleep(0)
    case.replies.hear(e.Hear(8, bytes(100), Expect.OPEN))
    case.replies.forget(9)
    assert (await case.until(e.Transcribed)).text == "all 100"
    assert ears.cancelled == ["CA1/u9"]


async def test_a_turn_that_was_never_heard_has_an_empty_transcript(bench: Callable[..., Bench]) -> None:
    case = bench(Model(Done()), None, Ears(), transcribes_in_background=True)
    case.replies.transcribe(7)
    assert (await case.until(e.Transcribed)).text == "all 0"


@pytest.mark.looptime
@pytest.mark.parametrize("failure", [EngineError("no ears"), ValueError("a bug"), None])
async def test_a_transcript_that_fails_or_takes_too_long_is_given_up(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture, failure: Exception | None
) -> None:
    ears = Ears()
    case = bench(Model(Done()), None, ears, transcribes_in_background=True, timeout_s=0.05)
    case.replies.hear(e.Hear(7, bytes(100), Expect.OPEN))
    await settle()
    ears.error = failure
    ears.gates["finish CA1/u7"] = asyncio.Event()
    if failure:
        ears.gates["finish CA1/u7"].set()
    case.replies.transcribe(7)
    async with asyncio.timeout(30):
        await ears.was_cancelled.wait()
    await settle()
    assert "no transcript" in caplog.text
    assert str(failure or "nothing came") in caplog.text
    assert not case.all(e.Transcribed)


async def test_a_transcript_that_is_on_its_way_ends_with_the_call(bench: Callable[..., Bench]) -> None:
    ears = Ears()
    ears.gates["CA1/u7"] = asyncio.Event()
    before = asyncio.all_tasks()
    case = bench(Model(Done()), None, ears, transcribes_in_background=True)
    case.replies.hear(e.Hear(7, bytes(100), Expect.OPEN))
    case.replies.transcribe(7)
    await settle()
    await case.replies.close()
    assert asyncio.all_tasks() == before
    assert set(ears.cancelled) == {"CA1/u7"}


async def test_a_turn_that_a_person_answers_is_written_down_by_whatever_has_ears(bench: Callable[..., Bench]) -> None:
    case = bench(Model(Done()), None, Ears())
    case.replies.hear(e.Hear(7, b"\0" * 320, Expect.OPEN))
    case.replies.transcribe(7)
    await case.until(e.Transcribed)
    deaf = bench(Model(Done()), None, None)
    deaf.replies.transcribe(7)
    deaf.replies.start(start())
    await deaf.until(e.ReplyEnded)
    assert not deaf.all(e.Transcribed)


async def test_what_a_person_wants_said_is_spoken_without_asking_the_model(bench: Callable[..., Bench]) -> None:
    model, voice = Model(Done()), Voice()
    case = bench(model, voice)
    case.replies.say(e.SpeakText(3, "Your taxi is here.", "en-gb", "george", interruptible=False))
    await case.until(e.ReplyEnded)
    assert (model.requests, {(each.language, each.voice) for each in voice.requests}) == ([], {("en-gb", "george")})
    assert case.all(e.ReplyText) == [e.ReplyText(3, "Your taxi is here.")]
    assert not case.all(e.ReplyDone)[0].done.interruptible
    assert case.all(e.ReplyAudio)


async def test_who_only_listens_is_told_to_the_session(bench: Callable[..., Bench]) -> None:
    case = bench(Model(Backchannel(), Done()))
    case.replies.start(start())
    await case.until(e.ReplyEnded)
    assert case.events == [
        e.CallerSaid(1, "", Meaning.BACKCHANNEL),
        e.ReplyDone(1, Done(), ()),
        e.ReplyEnded(1),
    ]


@pytest.mark.looptime
async def test_a_stalled_model_is_heard_up_to_its_last_word_and_its_words_stay_its_own(
    bench: Callable[..., Bench],
) -> None:
    more, voice = asyncio.Event(), Voice()
    case = bench(Model(Text("Well then my fri"), more, Text("end."), Done()), voice, first_chunk_ms=5)
    case.replies.start(start())
    await case.until(e.ReplyAudio, 3)
    assert not case.all(e.ReplyDone)
    more.set()
    await case.until(e.ReplyEnded)
    assert voice.spoken == ["Well then my,", "friend."]
    assert [word.text for audio in case.all(e.ReplyAudio) for word in audio.words] == "Well then my friend.".split()


async def test_without_streaming_the_whole_reply_is_written_before_it_is_spoken(bench: Callable[..., Bench]) -> None:
    more, voice = asyncio.Event(), Voice()
    case = bench(Model(Text("Well then, we "), more, Text("are open."), Done()), voice, streaming=False)
    case.replies.start(start())
    await settle()
    assert case.all(e.ReplyText)
    assert not voice.spoken
    more.set()
    await case.until(e.ReplyEnded)
    assert voice.spoken == ["Well then,", "we are open."]
    kinds = [type(event) for event in case.events]
    assert kinds.index(e.ReplyDone) < kinds.index(e.ReplyAudio)


async def test_speech_that_waits_for_the_recognizer_is_bounded(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    ears = Ears()
    ears.gate = asyncio.Event()
    case = bench(Model(Done()), None, ears)
    for _ in range(300):
        case.replies.hear(e.Hear(1, bytes(10), Expect.OPEN))
    assert "too slow" in caplog.text
    case.replies.forget(1)
    assert ears.cancelled == ["CA1/u1"]


async def test_closing_leaves_behind_what_does_not_end(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A model that waits for its thread, whatever it is told: the call is over all the same, and the log says so."""
    monkeypatch.setattr(reply_module, "CLOSE_S", 0.05)
    free = asyncio.Event()

    class Stuck(Model):
        async def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
            try:
                yield Text("Well then, we are open.")
                await asyncio.Event().wait()
            finally:
                await free.wait()

    case = bench(Stuck())
    case.replies._tools.longest_s = 0.05
    case.replies.start(start())
    await case.until(e.ReplyText)
    await case.replies.close()
    assert caplog.messages == ["the engine does not let go of the call"]
    assert vars(caplog.records[0])["tasks"] == "reply CA1/1.0"
    free.set()


async def test_tools_finish_even_when_the_call_ends(bench: Callable[..., Bench], tmp_path: Path) -> None:
    case = bench(Model(ToolCall("note", {}), Done()))
    case.replies.start(start())
    done = await case.until(e.ReplyDone)
    case.replies.run_tools(e.RunTools(1, done.calls))
    await case.replies.close()
    assert case.all(e.ToolsFinished)[0].results[0].error == ""
    assert (tmp_path / "notes.jsonl").exists()
