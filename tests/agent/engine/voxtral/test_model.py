import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch
from torch.overrides import TorchFunctionMode

from agent.engine.base import (
    Backchannel,
    Cue,
    Done,
    Incomplete,
    ModelEvent,
    Next,
    ReplyRequest,
    Text,
    ToolCall,
    ToolResult,
)
from agent.engine.voxtral.model import VoxtralModel
from agent.exceptions import EngineError
from bench.checkpoints.voxtral import build
from config.engine import VoxtralSettings
from tests.agent.engine.voxtral.agents import AGENTS
from tests.agent.engine.voxtral.speaking import pcm

SETTINGS = {"device": "cpu", "slots": 4, "context": 3072, "max_tokens": 20, "temperature": 0.0}
GREETING = ["Grüß", " Gott", ",", " hier", " ist", " der", " Zahnarzt", " 🦷", "."]
CALL = '[{"name": "book", "arguments": {"day": "Tuesday"}}]'


def settings(folder: Path, **values: Any) -> VoxtralSettings:
    return VoxtralSettings.model_validate({"model": str(folder), **SETTINGS, **values})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rambling(tiny: Path) -> AsyncIterator[VoxtralModel]:
    """Random words, up to `max_tokens`."""
    async for model in opened(tiny):
        yield model


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def polite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[VoxtralModel]:
    """Greets after every turn, and thanks after a tool."""
    says = {"[/INST]": GREETING, "[/TOOL_RESULTS]": ["Done", " that"], "[TRANSCRIBE]": [" good", " morning"]}
    async for model in opened(build(tmp_path_factory.mktemp("polite"), says=says), temperature=0.3):
        yield model


async def opened(folder: Path, **values: Any) -> AsyncIterator[VoxtralModel]:
    model = VoxtralModel(settings(folder, **values), AGENTS)
    await model.load()
    yield model
    await model.close()


async def saying(tmp_path: Path, *pieces: str, **values: Any) -> VoxtralModel:
    """A model that says this after every turn."""
    model = VoxtralModel(settings(build(tmp_path / "m", says={"[/INST]": pieces}), **values), AGENTS)
    await model.load()
    return model


def request(name: str, cue: Cue = Cue.ANSWER, **fields: Any) -> ReplyRequest:
    return ReplyRequest(name, fields.pop("call", "call"), fields.pop("agent", "desk"), cue, **fields)


async def events(model: VoxtralModel, asked: ReplyRequest) -> list[ModelEvent]:
    return [event async for event in model.reply(asked)]


def text(said: list[ModelEvent]) -> str:
    return "".join(event.text for event in said if isinstance(event, Text))


def free(model: VoxtralModel) -> int:
    assert model._loaded
    return model._loaded.streams._loop.slots.free


async def test_a_reply_comes_word_by_word(polite: VoxtralModel) -> None:
    said = await events(polite, request("1", Cue.GREET))
    assert said[:-1] == [Text(piece) for piece in GREETING]
    assert said[-1] == Done()


async def test_it_hears(rambling: VoxtralModel) -> None:
    first, again, other = [
        text(await events(rambling, request(f"2.{n}", audio=audio))) for n, audio in enumerate((pcm(1), pcm(1), pcm(2)))
    ]
    assert first == again != other


@pytest.mark.parametrize("fields", [{"digits": "12"}, {"cue": Cue.REPROMPT}, {"transcript": "hello"}, {}])
async def test_there_need_be_no_audio(polite: VoxtralModel, fields: dict[str, Any]) -> None:
    assert text(await events(polite, request("3", **fields))) == "".join(GREETING)


async def test_many_calls_at_once_and_two_agents(rambling: VoxtralModel) -> None:
    """More than there are slots; each gets what it would have got alone."""
    asked = [
        request(f"4.{n}", call=f"c{n % 3}", agent=("desk", "indian")[n % 2], audio=pcm(n, 3), history=())
        for n in range(9)
    ]
    together = await asyncio.gather(*(events(rambling, each) for each in asked))
    alone = [await events(rambling, each) for each in asked]
    assert together == alone
    assert len({text(each) for each in alone}) > 5
    assert free(rambling) == 4


async def test_the_same_request_twice_is_no_harm(rambling: VoxtralModel) -> None:
    asked = request("twice", audio=pcm(3))
    first, second = await asyncio.gather(events(rambling, asked), events(rambling, asked))
    assert first == second
    assert not rambling._jobs


async def test_an_unknown_agent(polite: VoxtralModel) -> None:
    with pytest.raises(EngineError, match="no agent 'nobody'"):
        await events(polite, request("5", agent="nobody"))


async def test_a_cancelled_reply_ends_and_its_slot_is_free(tiny: Path) -> None:
    async for model in opened(tiny, context=4096, max_tokens=2000):
        said = []
        async for event in model.reply(request("6", Cue.GREET)):
            said.append(event)
            model.cancel("6")
        assert said
        assert not any(isinstance(event, Done) for event in said)
        await events_stop(model)
        model.cancel("6")
        model.cancel("unknown")


async def test_a_reply_that_nobody_reads_on_is_stopped(tiny: Path) -> None:
    async for model in opened(tiny, context=4096, max_tokens=2000):
        reply = model.reply(request("7", Cue.GREET))
        assert isinstance(await anext(reply), Text)
        await reply.aclose()
        await events_stop(model)


async def events_stop(model: VoxtralModel) -> None:
    """Before the next reply has begun, the slot is free again."""
    reply = model.reply(request("next", Cue.GREET))
    await anext(reply)
    assert free(model) == 3
    await reply.aclose()


@pytest.mark.parametrize(("marker", "event"), [("…", Incomplete()), ("~", Backchannel())])
async def test_early_the_model_may_say_that_no_answer_is_due(tmp_path: Path, marker: str, event: ModelEvent) -> None:
    model = await saying(tmp_path, marker)
    early = await events(model, request("8", audio=pcm(1), early=True))
    late = await events(model, request("9", audio=pcm(1)))
    await model.close()
    assert early == [event, Done()]
    assert event not in late
    assert not text(late).lstrip().startswith(marker), "it must answer now"


async def test_markers_can_be_switched_off(tmp_path: Path) -> None:
    model = await saying(tmp_path, "…", unfinished=False)
    assert await events(model, request("10", audio=pcm(1), early=True)) == [Text("…"), Done()]
    await model.close()


async def test_tools_are_called_and_their_results_are_told(tmp_path: Path, polite: VoxtralModel) -> None:
    model = await saying(tmp_path, "One", " moment.", "[TOOL_CALLS]", CALL)
    said = await events(model, request("11", audio=pcm(1)))
    await model.close()
    assert said == [Text("One"), Text(" moment."), ToolCall("book", {"day": "Tuesday"}), Done()]
    result = ToolResult("book", {"day": "Tuesday"}, {"ok": True})
    assert text(await events(polite, request("12", Cue.TOOL, tool_results=(result,)))) == "Done that"


@pytest.mark.parametrize(
    ("call", "done"),
    [
        ('[{"name": "hang_up", "arguments": {}}]', Done(next=Next.HANG_UP)),
        ('[{"name": "press_keys", "arguments": {"keys": "104#"}}]', Done(keys="104#")),
        (
            '[{"name": "transfer", "arguments": {"to": "reception"}}]',
            Done(next=Next.TRANSFER, transfer_to="reception"),
        ),
    ],
)
async def test_the_call_can_be_ended_and_put_through_and_keys_pressed(tmp_path: Path, call: str, done: Done) -> None:
    model = await saying(tmp_path, "Bye.", "[TOOL_CALLS]", call)
    assert await events(model, request("13", audio=pcm(1))) == [Text("Bye."), done]
    await model.close()


async def test_a_malformed_call_alone_is_an_error(tmp_path: Path) -> None:
    model = await saying(tmp_path, "[TOOL_CALLS]", "book Tuesday!")
    with pytest.raises(EngineError, match="wanted a tool"):
        await events(model, request("14", audio=pcm(1)))
    await model.close()


async def test_too_many_replies_at_once(tiny: Path) -> None:
    async for model in opened(tiny, slots=2, waiting=1):
        outcomes = await asyncio.gather(
            *(events(model, request(f"15.{n}", Cue.GREET)) for n in range(8)), return_exceptions=True
        )
        refused = [each for each in outcomes if isinstance(each, EngineError)]
        assert 1 <= len(refused) <= 7
        assert "wait already" in str(refused[0])
        assert all(isinstance(each, list | EngineError) for each in outcomes)
        assert free(model) == 2


async def test_closing_while_replies_are_made(tiny: Path) -> None:
    model = VoxtralModel(settings(tiny, context=4096, max_tokens=2000), AGENTS)
    await model.load()
    replies = [model.reply(request(f"16.{n}", Cue.GREET)) for n in range(3)]
    for reply in replies:
        await anext(reply)
    await model.close()
    for reply in replies:
        with pytest.raises(EngineError, match="closed"):
            async for _ in reply:
                pass
    with pytest.raises(EngineError, match="not loaded"):
        await events(model, request("17"))
    await model.close()


async def test_it_is_loaded_once(tiny: Path) -> None:
    model = VoxtralModel(settings(tiny), AGENTS)
    await asyncio.gather(model.load(), model.transcriber.load())
    loaded = model._loaded
    await model.load()
    assert model._loaded is loaded
    await model.close()


async def test_what_cannot_be_loaded_is_said(tmp_path: Path, tiny: Path) -> None:
    with pytest.raises(EngineError, match="there is no folder"):
        await VoxtralModel(settings(tmp_path / "nowhere"), AGENTS).load()
    with pytest.raises(EngineError, match=r"raise engine\.voxtral\.context"):
        await VoxtralModel(settings(tiny, context=600), AGENTS).load()


async def test_asyncio_goes_on_meanwhile(rambling: VoxtralModel) -> None:
    """No operation of the model runs in the thread of the event loop."""
    here = []

    class Watch(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            here.append(function)
            return function(*args, **(kwargs or {}))

    with Watch():  # modes are a thread's own
        torch.zeros(1)
        await asyncio.gather(*(events(rambling, request(f"18.{n}", audio=pcm(n, 5))) for n in range(6)))
    assert here == [torch.zeros]


async def test_the_seed_decides_what_is_drawn(tiny: Path) -> None:
    said = []
    for seed in (1, 1, 2):
        async for model in opened(tiny, temperature=1.0, seed=seed):
            said.append(text(await events(model, request("19", audio=pcm(1)))))
    assert said[0] == said[1] != said[2]
