"""A model that is slow, breaks or hangs, and what callers hear then."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

import config
from agent.engine.base import (
    Backchannel,
    Cue,
    Done,
    Engine,
    Expect,
    Incomplete,
    ModelEvent,
    Next,
    OwnTranscript,
    ReplyRequest,
    SpeechBlock,
    Text,
    ToolCall,
    ToolResult,
    Transcript,
)
from agent.engine.embedded.dialogue import DialogueModel
from agent.engine.embedded.recognizer import PocketsphinxRecognizer
from agent.engine.embedded.synthesizer import EspeakSynthesizer, say
from agent.engine.fallback import model as module
from agent.engine.fallback import patience as reading
from agent.engine.fallback.circuit_breaker import CircuitBreaker
from agent.engine.fallback.model import FallbackModel
from agent.exceptions import EngineError
from audio.resample import to_both, to_line
from config.agent import AgentSettings, load_agents
from config.engine import FallbackSettings
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one embedded recognizer for all: it takes a while to load

DESK = load_agents(Path(config.__file__).parent / "agents")
AGENTS = DESK | {
    "talker": AgentSettings(name="talker", transfers={"desk": "+15550100199", "boss": "+15550100198"}),
    "hermit": AgentSettings(name="hermit"),
    "bank": AgentSettings.model_validate(
        {
            "name": "bank",
            "dialogue": {
                "texts": {"greeting": "Hello."},
                "slots": {"pin": {"digits": 4, "secret": True}},
                "intents": {"pay": {"phrases": ["pay"], "ask": {"pin": "Your PIN?"}, "answer": "Paid."}},
            },
        }
    ),
}
APOLOGY = FallbackSettings().apology
FILLER = FallbackSettings().filler
GONE = EngineError("the GPU is gone")
HELLO = Text("Hello from the model.")


class Model:
    """Says what it is told to: events in order, an error to raise, an Event to wait for, None to hang."""

    def __init__(self, *script: ModelEvent | Exception | asyncio.Event | None) -> None:
        self.script = script
        self.requests: list[ReplyRequest] = []
        self.cancelled: list[str] = []
        self.log: list[str] = []

    async def load(self) -> None:
        self.log.append("load")

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        self.requests.append(request)
        for event in self.script:
            if isinstance(event, Exception):
                raise event
            if isinstance(event, asyncio.Event):
                await event.wait()
            elif event is None:
                await asyncio.Event().wait()
            else:
                yield event

    def cancel(self, request: str) -> None:
        self.cancelled.append(request)

    async def close(self) -> None:
        self.log.append("close")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recognizer() -> AsyncGenerator[PocketsphinxRecognizer, None]:
    made = PocketsphinxRecognizer(DESK, decoders=1)
    await made.load()
    yield made
    assert not made._utterances
    await made.close()


def fallback(
    model: Model, recognizer: PocketsphinxRecognizer | None = None, ears: CircuitBreaker | None = None, **settings: Any
) -> FallbackModel:
    made = FallbackSettings(**settings)
    return FallbackModel(
        model,
        Engine(DialogueModel(AGENTS), EspeakSynthesizer(), recognizer),
        made,
        AGENTS,
        breaker=CircuitBreaker("model", made.lost_s),
        ears=ears or CircuitBreaker("recognizer", made.lost_s),
    )


class Call:
    """One call: asks with the state that the last reply left, as it would come back from a tape."""

    def __init__(self, model: FallbackModel, agent: str = "front_desk") -> None:
        self.model = model
        self.agent = agent
        self.state: dict[str, Any] = {}
        self.events: list[ModelEvent] = []
        self._count = 0

    async def ask(self, cue: Cue = Cue.ANSWER, **fields: Any) -> str:
        self._count += 1
        request = ReplyRequest(f"CA1/{self._count}.0", "CA1", self.agent, cue, state=self.state, **fields)
        self.events = [event async for event in self.model.reply(request)]
        if isinstance(self.done, Done) and self.done.state:
            self.state = msgspec.json.decode(msgspec.json.encode(self.done.state))
        return "".join(event.text for event in self.events if isinstance(event, Text))

    @property
    def done(self) -> Done:
        assert isinstance(self.events[-1], Done)
        return self.events[-1]

    async def says(self, words: str) -> str:
        return await self.ask(transcript=words)


# As long as it works


async def test_a_model_that_works_says_everything_itself() -> None:
    events = (HELLO, ToolCall("book_appointment", {}), Done({"mind": 1}, Expect.DIGITS))
    model = fallback(Model(*events))
    call = Call(model)
    await call.ask(Cue.GREET)
    assert tuple(call.events) == events
    await call.says("hello")
    assert (model.breaker.failures, model.fallen, model.fillers) == (0, 0, 0)


async def test_an_early_reply_may_say_that_it_waits_for_more() -> None:
    for event in (Incomplete(), Backchannel()):
        call = Call(fallback(Model(event, Done())))
        await call.ask(transcript="well", early=True)
        assert call.events == [event, Done()]


@pytest.mark.looptime
async def test_a_caller_who_waits_is_told_so_once() -> None:
    gate, gone_on = asyncio.Event(), asyncio.Event()
    model = fallback(Model(gate, HELLO, gone_on, Done()), filler_ms=5)
    events = model.reply(ReplyRequest("CA1/1.0", "CA1", "front_desk", Cue.ANSWER))
    assert await anext(events) == Text(f"{FILLER} ")
    gate.set()
    assert await anext(events) == HELLO
    rest = asyncio.create_task(anext(events))
    await asyncio.sleep(0.02)
    gone_on.set()
    assert await rest == Done()
    assert model.fillers == 1


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("cue", "settings"),
    [
        (Cue.FAREWELL, {"filler_ms": 1}),
        (Cue.SHUTDOWN, {"filler_ms": 1}),
        (Cue.ANSWER, {"filler_ms": 0}),
        (Cue.ANSWER, {"filler_ms": 1, "filler": ""}),
    ],
)
async def test_nobody_is_told_to_wait_for_a_goodbye_or_against_the_settings(cue: Cue, settings: dict[str, Any]) -> None:
    gate = asyncio.Event()
    call = Call(fallback(Model(gate, HELLO, Done()), **settings))
    asking = asyncio.create_task(call.ask(cue))
    await asyncio.sleep(0.02)
    gate.set()
    assert await asking == HELLO.text


@pytest.mark.looptime
async def test_an_early_reply_has_until_after_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EARLY_MS", 30)
    for wait_s, said in ((0.01, HELLO.text), (0.06, f"{FILLER} {HELLO.text}")):
        gate = asyncio.Event()
        call = Call(fallback(Model(gate, HELLO, Done()), filler_ms=1))
        asking = asyncio.create_task(call.ask(transcript="", early=True))
        await asyncio.sleep(wait_s)
        gate.set()
        assert await asking == said


@pytest.mark.looptime
@pytest.mark.parametrize("event", [Incomplete(), Backchannel()])
async def test_who_was_told_to_wait_gets_an_answer(monkeypatch: pytest.MonkeyPatch, event: ModelEvent) -> None:
    monkeypatch.setattr(module, "EARLY_MS", 1)

    class Slow(Model):
        async def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
            self.requests.append(request)
            if request.early:
                await asyncio.sleep(0.02)
            yield event if request.early else HELLO
            yield Done()

    model = Slow()
    call = Call(fallback(model, filler_ms=1))
    assert await call.ask(transcript="well", early=True) == f"{FILLER} {HELLO.text}"
    assert call.events[-1] == Done()
    assert [(request.id, request.early) for request in model.requests] == [("CA1/1.0", True), ("CA1/1.0/again", False)]


# When it fails


@pytest.mark.parametrize("error", [GONE, ValueError("a bug"), TimeoutError(), None])
async def test_a_call_goes_on_with_the_dialogue_to_its_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception | None
) -> None:
    broken = Model(HELLO, Done({"mind": 1}))
    model = fallback(broken, filler_ms=0)
    call = Call(model)
    assert await call.ask(Cue.GREET) == HELLO.text
    broken.script = (error,)
    if not error:
        monkeypatch.setattr(reading, "SILENT_S", 0.01)
    assert await call.says("i'd like to book an appointment") == f"{APOLOGY} Which day would you like?"
    assert broken.cancelled == ["CA1/2.0"]
    broken.script = (HELLO, Done())  # it is back, but this call is in the middle of something
    assert await call.says("on tuesday") == "At what time on Tuesday?"
    assert await call.says("at ten") == "So that's Tuesday at ten o'clock. Is that right?"
    assert call.done.expect is Expect.YES_NO
    assert await call.says("yes") == ""
    tool = call.events[0]
    assert isinstance(tool, ToolCall)
    told = await call.ask(Cue.TOOL, tool_results=(ToolResult(tool.name, tool.arguments),))
    assert told.startswith("You're all set for Tuesday at ten o'clock.")
    assert "Goodbye" in await call.says("no thanks")
    assert call.done.next is Next.HANG_UP
    assert len(broken.requests) == 2
    assert (model.fallen, model.breaker.failures) == (1, 1)
    assert {vars(record)["call"] for record in caplog.records} == {"CA1"}


async def test_what_a_tool_did_is_told_although_the_model_that_called_it_is_lost() -> None:
    call = Call(fallback(Model(GONE)))
    call.state = {"mind": 1}
    result = ToolResult("book_appointment", {"day": "Monday", "time": "nine"})
    said = await call.ask(Cue.TOOL, tool_results=(result,))
    assert said.startswith(f"{APOLOGY} You're all set for Monday at nine.")


@pytest.mark.parametrize("cue", [Cue.GREET, Cue.FAREWELL, Cue.SHUTDOWN])
async def test_who_has_noticed_nothing_hears_no_apology(cue: Cue) -> None:
    said = await Call(fallback(Model(GONE))).ask(cue)
    assert said
    assert APOLOGY not in said


async def test_new_calls_do_not_ask_a_lost_model_until_it_is_time() -> None:
    broken = Model(GONE)
    model = fallback(broken, lost_s=3600)
    for _ in range(4):
        call = Call(model)
        assert "Riverside Dental" in await call.ask(Cue.GREET)
        assert "Which day" in await call.says("book an appointment")
    assert len(broken.requests) == 2
    known = Call(model)
    known.state = {"mind": 1}
    broken.script = (HELLO, Done())
    assert await known.says("hello") == HELLO.text  # a call that the model knows asks it
    assert await Call(model).ask(Cue.GREET) == HELLO.text  # and so it is known to be back


@pytest.mark.looptime
async def test_after_a_while_a_new_call_finds_the_model_back() -> None:
    broken = Model(GONE)
    model = fallback(broken, lost_s=60)
    for _ in range(2):
        await Call(model).ask(Cue.GREET)
    broken.script = (HELLO, Done())
    await asyncio.sleep(60)
    assert await Call(model).ask(Cue.GREET) == HELLO.text
    assert not model.breaker.lost


@pytest.mark.parametrize(("text", "said"), [("We are open", "We are open. "), ("We are open. ", "We are open.  ")])
async def test_what_was_said_stays_and_the_call_goes_on(text: str, said: str) -> None:
    broken = Model(Text(text), ToolCall("book_appointment", {}), GONE)
    model = fallback(broken)
    call = Call(model)
    call.state = {"mind": 1}
    assert await call.says("when are you open") == said + APOLOGY
    assert call.events[-1] == Done()
    assert call.state == {"mind": 1}
    broken.script = (HELLO, Done())
    assert await call.says("and when do you close") == HELLO.text
    assert (model.fallen, model.breaker.failures) == (0, 1)


async def test_a_filler_is_no_first_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SILENT_S", 0.01)
    call = Call(fallback(Model(None), filler_ms=1))
    assert await call.says("what are your opening hours") == (
        f"{FILLER} {APOLOGY} We're open Monday to Friday, from nine in the morning to five in the afternoon. "
        "Is there anything else I can do for you?"
    )


async def test_an_early_reply_that_waits_for_more_says_nothing_yet() -> None:
    call = Call(fallback(Model(GONE)))
    call.state = {"mind": 1}
    await call.ask(transcript="cancel appointment one two", early=True)
    assert isinstance(call.events[0], Incomplete)
    assert not any(isinstance(event, Text) for event in call.events)


# Without a dialogue


async def test_without_a_dialogue_the_caller_is_put_through() -> None:
    for cue in (Cue.GREET, Cue.ANSWER):
        call = Call(fallback(Model(GONE)), "talker")
        assert await call.ask(cue) == f"{APOLOGY} I am putting you through."
        assert call.done == Done(next=Next.TRANSFER, transfer_to="desk")


@pytest.mark.parametrize(
    ("agent", "cue"), [("hermit", Cue.ANSWER), ("talker", Cue.SHUTDOWN), ("talker", Cue.UNREACHED)]
)
async def test_without_anybody_else_the_call_ends(agent: str, cue: Cue) -> None:
    call = Call(fallback(Model(GONE)), agent)
    assert await call.ask(cue) == APOLOGY
    assert call.done.next is Next.HANG_UP


async def test_an_early_reply_alone_puts_nobody_through() -> None:
    broken = Model(GONE)
    call = Call(fallback(broken), "talker")
    with pytest.raises(EngineError, match="asked again"):
        await call.ask(early=True)
    broken.script = (HELLO, GONE)
    assert await call.ask(early=True) == f"{HELLO.text} {APOLOGY}"  # it may be heard by now
    broken.script = (HELLO, Done())
    assert await call.ask() == HELLO.text


async def test_who_is_not_heard_is_put_through() -> None:
    ears = CircuitBreaker("recognizer", 3600)
    for _ in range(2):
        ears.failed("CA1", GONE)
    model = fallback(Model(HELLO, Done()), ears=ears)
    call = Call(model, "talker")
    assert await call.says("") == f"{APOLOGY} I am putting you through."
    assert await call.says("hello") == HELLO.text
    assert await call.ask(Cue.GREET) == HELLO.text
    assert await Call(model).says("") == HELLO.text  # the embedded recognizer hears for those with a dialogue


# Where the model heard by itself


def spoken(text: str) -> bytes:
    return bytes(3200) + to_line(*say(text, "en-us+adam", 0.9)) + bytes(6400)


async def test_the_dialogue_is_told_what_was_said(recognizer: PocketsphinxRecognizer) -> None:
    call = Call(fallback(Model(GONE), recognizer))
    assert "Which day" in await call.ask(audio=spoken("i'd like to book an appointment"))
    assert "At what time" in await call.ask(audio=spoken("on wednesday"))
    assert "Wednesday at three" in await call.ask(audio=spoken("at three o'clock"))
    await call.ask(audio=spoken("yes please"))
    assert ToolCall("book_appointment", {"day": "Wednesday", "time": "three o'clock"}) in call.events


async def test_of_a_wide_band_line_the_16_khz_are_understood(recognizer: PocketsphinxRecognizer) -> None:
    call = Call(fallback(Model(GONE), recognizer))
    wide = bytes(6400) + to_both(*say("i'd like to book an appointment", "en-us+adam", 0.9))[1] + bytes(12_800)
    assert "Which day" in await call.ask(audio=bytes(len(wide) // 2), wide=wide)


async def test_it_knows_which_answer_is_expected(
    recognizer: PocketsphinxRecognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[SpeechBlock] = []
    hear = recognizer.hear

    async def listen(block: SpeechBlock) -> Transcript:
        heard.append(block)
        return await hear(block)

    monkeypatch.setattr(recognizer, "hear", listen)
    call = Call(fallback(Model(GONE), recognizer))
    assert "four digit number" in await call.ask(audio=spoken("cancel my appointment"))
    await call.ask(audio=spoken("one two"), early=True)
    assert call.events[:2] == [OwnTranscript("one two"), Incomplete()]
    assert call.done.expect_digits == (4, 4)
    assert "1 2 3 4" in await call.ask(audio=spoken("one two three four"))
    assert "cancelled" not in await call.ask(audio=spoken("yes"))
    assert [block.expect for block in heard] == [Expect.OPEN, Expect.DIGITS, Expect.DIGITS, Expect.YES_NO]
    assert len({block.utterance for block in heard}) == len(heard)


async def test_speech_over_the_agents_voice_is_judged(recognizer: PocketsphinxRecognizer) -> None:
    call = Call(fallback(Model(GONE), recognizer))
    await call.says("i'd like to book an appointment")
    state = call.state
    await call.ask(audio=spoken("uh huh"), early=True, over=True)
    assert [type(event) for event in call.events] == [Backchannel, Done]
    assert call.state == state
    await call.ask(audio=bytes(16_000), early=True, over=True)
    assert [type(event) for event in call.events] == [Done]
    assert "At what time" in await call.ask(audio=spoken("on wednesday"), early=True, over=True)


async def test_what_the_dialogue_asks_for_is_secret_also_when_a_noise_is_judged() -> None:
    call = Call(fallback(Model(GONE)), "bank")
    assert "Your PIN?" in await call.says("pay")
    assert call.done.secret
    await call.ask(audio=bytes(16_000), early=True, over=True)
    assert call.done.secret
    assert "Paid." in await call.ask(transcript="", digits="4711")
    assert not call.done.secret


async def test_without_sound_or_a_free_decoder_nothing_is_understood(
    recognizer: PocketsphinxRecognizer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agent.engine.embedded.recognizer.FINISH_S", 0.01)
    call = Call(fallback(Model(GONE), recognizer))
    assert "didn't get that" in await call.ask()
    pool = recognizer._pools["front_desk"]
    decoder = pool.get_nowait()
    assert "didn't understand" in await call.ask(audio=spoken("goodbye"))
    assert "nothing was understood: " in caplog.text
    pool.put_nowait(decoder)
    assert "Goodbye" in await call.ask(audio=spoken("goodbye"))


# Its life


async def test_both_are_loaded_and_closed_and_what_the_models_raise_there_passes() -> None:
    class Refusing(Model):
        async def load(self) -> None:
            raise EngineError("no weights")

    with pytest.raises(EngineError, match="no weights"):
        await fallback(Refusing()).load()
    model, dialogue = Model(), Model()
    breaker = CircuitBreaker("model", 1)
    embedded = Engine(dialogue, EspeakSynthesizer())
    loaded = FallbackModel(model, embedded, FallbackSettings(), AGENTS, breaker=breaker, ears=breaker)
    await loaded.load()
    await loaded.close()
    assert model.log == dialogue.log == ["load", "close"]


async def test_agents_without_dialogues_need_no_embedded_engine() -> None:
    model = FallbackModel(
        Model(),
        Engine(DialogueModel({}), EspeakSynthesizer()),
        FallbackSettings(),
        {"talker": AGENTS["talker"]},
        breaker=CircuitBreaker("model", 1),
        ears=CircuitBreaker("recognizer", 1),
    )
    await model.load()


async def test_cancelling_reaches_the_model_and_leaves_no_task(recognizer: PocketsphinxRecognizer) -> None:
    model = Model(HELLO, None)
    made = fallback(model, recognizer)
    before = asyncio.all_tasks()
    events = made.reply(ReplyRequest("CA1/1.0", "CA1", "front_desk", Cue.ANSWER))
    assert await anext(events) == HELLO
    made.cancel("CA1/1.0")
    await events.aclose()
    assert model.cancelled == ["CA1/1.0"]
    assert asyncio.all_tasks() == before
    assert made.breaker.failures == 0


async def test_who_hangs_up_while_he_is_being_understood_leaves_nothing_behind(
    recognizer: PocketsphinxRecognizer,
) -> None:
    call = Call(fallback(Model(GONE), recognizer))
    asking = asyncio.create_task(call.ask(audio=20 * spoken("goodbye")))
    await until(lambda: recognizer._utterances)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not recognizer._utterances
    assert recognizer._pools["front_desk"].qsize() == 1


async def test_an_unknown_agent_is_named() -> None:
    with pytest.raises(EngineError, match="no agent 'nobody'"):
        await Call(fallback(Model()), "nobody").ask()
