"""A request as the tokens that Voxtral was trained on.

With audio there may be no system prompt (before tokenizer v13), so the instructions open the caller's first turn. The
tools stand where the tokenizer's version has them: up to v11 before the caller's last turn. Only the present turn is
heard; earlier ones stand there in words, since each would cost 375 tokens.
"""

import json
from typing import NamedTuple

from mistral_common.protocol.instruct.messages import AssistantMessage, ToolMessage, UserMessage
from mistral_common.protocol.instruct.tool_calls import FunctionCall, Tool, ToolCall
from mistral_common.tokens.tokenizers.instruct import InstructTokenizerV7

from agent.engine.base import Cue, ReplyRequest, ToolResult
from agent.engine.prompt import INCOMPLETE, UNKNOWN_WORDS, instructions, present, result_text, tools, turns
from agent.exceptions import EngineError
from config.agent import AgentSettings
from config.parties import Parties, is_filled

AUDIO_TOKENS = 375  # of any audio of up to 30 s
LEAST_WORDS = 100  # tokens that a turn must have room for


class Prompt(NamedTuple):
    """Tokens, with a row of audio tokens where the audio belongs."""

    ids: list[int]
    audio: bool
    shared: int  # how many the call's next prompt may begin with as well: those before the audio


class Message(NamedTuple):
    """One turn, without what opens and closes it."""

    role: str  # "user" or "assistant"
    ids: list[int]


class Prompts:
    """Makes the prompts of one agent, none longer than `room` tokens."""

    def __init__(self, tokenizer: InstructTokenizerV7, agent: AgentSettings, *, room: int, markers: bool) -> None:
        self._tokenizer = tokenizer
        self._room = room
        self._audio = audio_tokens(tokenizer)
        self._agent, self._markers = agent, markers
        self._instructions = self._encode(instructions(agent, markers=markers) + "\n\n")
        self._tools = [Tool.model_validate(tool) for tool in tools(agent)]
        # What opens a turn of the caller's, by whether it is the first and whether it is the last.
        self._opens = {(first, last): self._open(first, last) for first in (True, False) for last in (True, False)}
        self.prefix = [*tokenizer.start(), *self._opens[True, False], *self._instructions]
        least = len(self.prefix) + len(self._opens[False, True]) + len(self._audio)
        if least + LEAST_WORDS > room:
            raise EngineError(
                f"agent {agent.name!r}: its instructions and tools with {AUDIO_TOKENS} tokens of speech take {least} "
                f"tokens, and there are {room}: raise engine.voxtral.context, or lower engine.voxtral.max_tokens"
            )

    def reply(self, request: ReplyRequest) -> Prompt:
        """The prompt of a request; where it would be too long, the oldest turns are left out, two by two.

        Raises EngineError when the present turn alone is too long.
        """
        messages, audio = self._messages(request)
        opening = self._opening(request.parties)
        while True:
            prompt = self._join(messages, opening, audio=audio)
            if len(prompt.ids) <= self._room:
                return prompt
            if len(messages) <= 2:
                raise EngineError(f"the caller's turn takes {len(prompt.ids)} tokens, and there are {self._room}")
            messages = messages[2:]

    def _messages(self, request: ReplyRequest) -> tuple[list[Message], bool]:
        """The conversation, the caller first, and whether its last turn of the caller's is heard."""
        said = turns(request)
        results: list[int] = []
        if request.tool_results:
            said = said or [("user", UNKNOWN_WORDS)]
            # They belong to what the agent said when it asked for them, which the caller has not heard.
            words = said.pop()[1] if said[-1][0] == "assistant" else ""
            results = self._results(words, request.tool_results)
            if request.cue is Cue.TOOL:
                return [*self._said(said), Message("assistant", results)], False
            results += self._assistant(INCOMPLETE)
        audio = bool(request.audio) and request.transcript is None
        text = present(request) or ("" if audio else UNKNOWN_WORDS)
        if said and said[-1][0] == "user" and not results:
            text = f"{said.pop()[1]}\n\n{text}".strip()
        between = [Message("assistant", results)] if results else []
        return [*self._said(said), *between, *self._said([("user", text)])], audio

    def _opening(self, parties: Parties) -> list[int]:
        """The instructions; those of this call, where they speak of who calls."""
        if not is_filled(self._agent.instructions, self._agent.variables):
            return self._instructions
        return self._encode(instructions(self._agent, markers=self._markers, parties=parties) + "\n\n")

    def _join(self, messages: list[Message], opening: list[int], *, audio: bool) -> Prompt:
        ids = list(self._tokenizer.start())
        shared = 0
        last = max(place for place, message in enumerate(messages) if message.role == "user")
        for place, message in enumerate(messages):
            if message.role == "assistant":
                ids += message.ids
                continue
            ids += self._opens[place == 0, place == last]
            ids += opening if place == 0 else []
            ids += message.ids
            if audio and place == last:
                shared = len(ids)
                ids += self._audio
            ids.append(self._tokenizer.END_INST)
        return Prompt(ids, audio, shared or len(ids))

    def _said(self, said: list[tuple[str, str]]) -> list[Message]:
        return [
            Message(role, self._assistant(text) if role == "assistant" else self._encode(text)) for role, text in said
        ]

    def _open(self, first: bool, last: bool) -> list[int]:
        message = UserMessage(content="")
        return self._tokenizer.encode_user_message(message, self._tools, is_last=last, is_first=first)[0][:-1]

    def _assistant(self, text: str, calls: list[ToolCall] | None = None) -> list[int]:
        message = AssistantMessage(content=text or None, tool_calls=calls)
        return self._tokenizer.encode_assistant_message(message, is_before_last_user_message=False)

    def _results(self, words: str, results: tuple[ToolResult, ...]) -> list[int]:
        """The agent's turn that called tools, and what came of each."""
        calls = [
            # The tokenizer wants ids of nine letters or digits.
            ToolCall(
                id=f"call{number:05d}",
                function=FunctionCall(name=result.name, arguments=json.dumps(result.arguments, ensure_ascii=False)),
            )
            for number, result in enumerate(results)
        ]
        ids = self._assistant(words, calls)
        for call, result in zip(calls, results, strict=True):
            message = ToolMessage(content=result_text(result), tool_call_id=call.id, name=result.name)
            ids += self._tokenizer.encode_tool_message(message, is_before_last_user_message=False)[0]
        return ids

    def _encode(self, text: str) -> list[int]:
        return self._tokenizer.tokenizer.encode(text, bos=False, eos=False)


def transcription(tokenizer: InstructTokenizerV7, language: str) -> Prompt:
    """The prompt for writing down what is said, in a language such as "en"."""
    ids = [*tokenizer.start(), tokenizer.BEGIN_INST, *audio_tokens(tokenizer), tokenizer.END_INST]
    ids += tokenizer.tokenizer.encode(f"lang:{language}", bos=False, eos=False)
    if tokenizer.TRANSCRIBE is None:
        raise EngineError("the tokenizer has no [TRANSCRIBE]: set engine.voxtral.transcripts to realtime or off")
    return Prompt([*ids, tokenizer.TRANSCRIBE], audio=True, shared=0)


def audio_tokens(tokenizer: InstructTokenizerV7) -> list[int]:
    """The tokens that stand for audio."""
    assert tokenizer.audio_encoder is not None
    special = tokenizer.audio_encoder.special_ids
    assert special.begin_audio is not None and special.audio is not None
    return [special.begin_audio, *[special.audio] * AUDIO_TOKENS]
