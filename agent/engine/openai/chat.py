"""A chat model over HTTP: hears (or reads) the caller's turn, writes the reply word by word, and calls tools."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec

from agent.engine import prompt
from agent.engine.base import (
    Backchannel,
    Cue,
    Incomplete,
    ModelEvent,
    ReplyRequest,
    Text,
    ToolCall,
    ToolResult,
    clearest,
)
from agent.engine.openai.audio import to_wav
from agent.engine.openai.client import UNREADABLE, Cancelled, Client, Failure, ModelServerError
from agent.engine.openai.sse import EventStream
from agent.exceptions import EngineError
from config.agent import AgentSettings
from config.engine import OpenAISettings

DONE = "[DONE]"
MAX_BYTES = 8 << 20  # of one streamed answer
MAX_CALLS = 16  # of tools in one answer
MARKERS: dict[str, ModelEvent] = {prompt.INCOMPLETE: Incomplete(), prompt.BACKCHANNEL: Backchannel()}

Message = dict[str, Any]
logger = logging.getLogger("voxline.engine.openai")


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    function: _Function = msgspec.field(default_factory=_Function)


class _Delta(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    error: Failure | str | None = None


class ChatModel:
    """A SpeechModel. With `settings.audio` the model hears the present turn, else it is told the transcript."""

    def __init__(self, settings: OpenAISettings, agents: dict[str, AgentSettings]) -> None:
        self._settings = settings
        self._agents = agents
        self._client = Client(settings)

    async def load(self) -> None:
        """See SpeechModel."""
        await self._client.load(self._settings.chat_model, "chat_model")

    async def learn(self, agents: dict[str, AgentSettings]) -> None:
        """See Learner."""
        self._agents = self._agents | agents

    def forget(self, agents: Collection[str]) -> None:
        """See Learner."""
        self._agents = {name: agent for name, agent in self._agents.items() if name not in agents}

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        """See SpeechModel."""
        agent = self._agents.get(request.agent)
        if agent is None:
            raise EngineError(f"there is no agent {request.agent!r}")
        opening, calls, said = Opening(), ToolCalls(), False
        try:
            async with aclosing(self._client.stream(request.id, partial(self._ask, request, agent))) as deltas:
                async for delta in deltas:
                    calls.add(delta.tool_calls or [])
                    if text := opening.add(delta.content or ""):
                        said = True
                        yield Text(text)
        except Cancelled:
            return
        whole = calls.whole(request.call)
        if calls.broken and not (said or whole):
            raise EngineError(f"the model called {calls.broken[0]!r} with arguments that are no JSON object")
        if request.early and opening.marker and not whole:
            yield MARKERS[opening.marker]
        own, done = prompt.conclude(whole, agent)
        for call in own:
            yield call
        yield done

    def cancel(self, request: str) -> None:
        """See SpeechModel."""
        self._client.cancel(request)

    async def close(self) -> None:
        """See SpeechModel."""
        await self._client.close()

    async def _ask(self, request: ReplyRequest, agent: AgentSettings) -> AsyncGenerator[_Delta, None]:
        """One try: what is new in each event that brings text or a call."""
        # Speech takes some milliseconds to prepare; everything else is done sooner than a thread gets to work.
        body = await asyncio.to_thread(self._body, request, agent) if request.audio else self._body(request, agent)
        events, size, finished = EventStream(), 0, False
        async with self._client.request(
            "POST", "/chat/completions", content=body, headers={"Content-Type": "application/json"}
        ) as response:
            # To the very end, also after DONE: only then can the connection be used again.
            async for piece in response.aiter_bytes():
                size += len(piece)
                if size > MAX_BYTES:
                    raise EngineError(f"the model's answer is longer than {MAX_BYTES} bytes")
                for event in events.feed(piece):
                    choice = None if event == DONE else self._choice(event)
                    finished = finished or event == DONE or (choice is not None and choice.finish_reason is not None)
                    if choice and (choice.delta.content or choice.delta.tool_calls):
                        yield choice.delta
        if not finished:
            raise ModelServerError(f"{self._client.url}: the model's answer broke off")

    def _choice(self, event: str) -> _Choice | None:
        chunk = self._client.parse(event, _Chunk)
        if chunk.error:
            raise self._client.failure(chunk.error)
        return chunk.choices[0] if chunk.choices else None

    def _body(self, request: ReplyRequest, agent: AgentSettings) -> bytes:
        settings = self._settings
        return msgspec.json.encode(
            {
                "model": settings.chat_model,
                "messages": messages(request, agent, audio=settings.audio),
                "tools": prompt.tools(agent),
                "stream": True,
                "max_tokens": settings.max_tokens,
                "temperature": settings.temperature,
                "top_p": settings.top_p,
            }
        )


class Opening:
    """Holds back the first text of a reply for as long as all of it may be a marker."""

    def __init__(self) -> None:
        self._held: str | None = ""

    def add(self, text: str) -> str:
        """The text that may be said now."""
        if self._held is None:
            return text
        held = self._held + text
        may_be_marker = not held.strip() or held.strip() in MARKERS
        self._held = held if may_be_marker else None
        return "" if may_be_marker else held

    @property
    def marker(self) -> str:
        """The marker that the whole reply was; empty when it was none."""
        return (self._held or "").strip()


class ToolCalls:
    """Calls of tools, put together from their pieces."""

    def __init__(self) -> None:
        self.broken: list[str] = []  # names of those that make no sense
        self._pieces: dict[int, tuple[list[str], list[str]]] = {}  # by index: names, arguments

    def add(self, calls: list[_Call]) -> None:
        """Take the pieces of one event. EngineError when there are too many calls."""
        for call in calls:
            index = len(self._pieces) if call.index is None else call.index
            names, arguments = self._pieces.setdefault(index, ([], []))
            names.append(call.function.name or "")
            arguments.append(call.function.arguments or "")
        if len(self._pieces) > MAX_CALLS:
            raise EngineError(f"the model called more than {MAX_CALLS} tools at once")

    def whole(self, call_id: str) -> list[ToolCall]:
        """All complete calls, in order; of the others only the names are kept, and logged."""
        calls = []
        for _, (names, pieces) in sorted(self._pieces.items()):
            name = "".join(names)
            try:
                arguments = msgspec.json.decode("".join(pieces) or "{}")
            except UNREADABLE:
                arguments = None
            if name and isinstance(arguments, dict):
                calls.append(ToolCall(name, arguments))
            else:
                self.broken.append(name)
                fields = {"call": call_id, "tool": name}
                logger.warning("tool call dropped: its arguments are no JSON object", extra=fields)
        return calls


def messages(request: ReplyRequest, agent: AgentSettings, *, audio: bool) -> list[Message]:
    """The conversation in the format of chat completions, the present turn last.

    With `audio` the instructions open the first turn: Voxtral takes no system prompt together with audio.
    """
    conversation = [_said(role, text) for role, text in prompt.turns(request)]
    if request.tool_results:
        conversation = _with_results(conversation, request)
    asked = request.cue is not Cue.TOOL or not request.tool_results
    speech = bool(request.audio) and audio and asked
    if asked:
        text = prompt.present(request) or ("" if speech else prompt.UNKNOWN_WORDS)
        if conversation and conversation[-1]["role"] == "user":
            text = f"{conversation.pop()['content']} {text}".strip()  # many models want the roles to alternate
        conversation.append(_said("user", text))
    instructions = prompt.instructions(agent, markers=request.early, parties=request.parties)
    if audio:
        first = conversation[0]
        first["content"] = f"{instructions}\n\n{first['content']}".strip()
    else:
        conversation.insert(0, _said("system", instructions))
    if speech:
        _add_speech(conversation[-1], request)
    return conversation


def _said(role: str, text: str) -> Message:
    return {"role": role, "content": text}


def _add_speech(message: Message, request: ReplyRequest) -> None:
    # msgspec writes bytes as base64.
    speech = {"type": "input_audio", "input_audio": {"data": to_wav(*clearest(request)), "format": "wav"}}
    text = [{"type": "text", "text": message["content"]}] if message["content"] else []
    message["content"] = [*text, speech]


def _with_results(conversation: list[Message], request: ReplyRequest) -> list[Message]:
    """Calls of tools and their results go where they happened: after the last turn of the caller's, or what stood for
    one."""
    if not conversation or (request.cue is Cue.TOOL and conversation[-1]["role"] != "user"):
        cue = Cue.REPROMPT if conversation else Cue.GREET
        conversation = [*conversation, _said("user", prompt.CUES[cue])]
    after = 1 + max(at for at, message in enumerate(conversation) if message["role"] == "user")
    return [*conversation[:after], *_calls_and_results(request.tool_results), *conversation[after:]]


def _calls_and_results(results: tuple[ToolResult, ...]) -> list[Message]:
    # Mistral's models want ids of nine letters and digits.
    ids = [f"call{number:05}" for number in range(len(results))]
    calls = [
        {
            "id": name,
            "type": "function",
            "function": {"name": result.name, "arguments": msgspec.json.encode(result.arguments).decode()},
        }
        for name, result in zip(ids, results, strict=True)
    ]
    told = [
        {"role": "tool", "tool_call_id": name, "content": prompt.result_text(result)}
        for name, result in zip(ids, results, strict=True)
    ]
    return [{"role": "assistant", "content": "", "tool_calls": calls}, *told]
