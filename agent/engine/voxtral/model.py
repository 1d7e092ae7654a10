"""Voxtral Mini hears the caller and answers, for all calls in one decode loop."""

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from functools import partial

import torch

from agent.engine.base import Done, ModelEvent, ReplyRequest, Text, clearest
from agent.engine.prompt import conclude
from agent.engine.voxtral.checkpoint import Checkpoint, load
from agent.engine.voxtral.decoder import Decoder
from agent.engine.voxtral.loop import DecodeJob, DecodeLoop
from agent.engine.voxtral.prompt import Prompts, transcription
from agent.engine.voxtral.streaming_mel import Listening
from agent.engine.voxtral.streams import Streams
from agent.engine.voxtral.text import ReplyReader, Vocabulary
from agent.engine.voxtral.transcriber import VoxtralTranscriber
from agent.exceptions import EngineError
from config.agent import AgentSettings
from config.engine import VoxtralSettings

TRANSCRIPT_TOKENS = 300  # at most: 30 s of the fastest speech


class Loaded:
    """All parts of a loaded checkpoint."""

    def __init__(self, checkpoint: Checkpoint, settings: VoxtralSettings, agents: dict[str, AgentSettings]) -> None:
        self.tokenizer = checkpoint.tokenizer
        self.vocabulary = Vocabulary(checkpoint.tokenizer)
        room = settings.context - settings.max_tokens
        self._prompts_for = partial(Prompts, checkpoint.tokenizer, room=room, markers=settings.unfinished)
        self.prompts: dict[str, Prompts] = {}
        self.learn(agents)
        self.streams = Streams(
            partial(
                DecodeLoop,
                Decoder(checkpoint, settings.slots, settings.context),
                waiting=settings.waiting,
                end=self.vocabulary.end,
                forbidden=self.vocabulary.beginning_markers(),
                prefixes=[prompts.prefix for prompts in self.prompts.values()],
            )
        )

    def learn(self, agents: dict[str, AgentSettings]) -> None:
        """Make the prompts of these agents. Those that come later share the beginnings that were read at the start as
        far as theirs are the same."""
        self.prompts |= {name: self._prompts_for(agent) for name, agent in agents.items()}


class VoxtralModel:
    """The SpeechModel; `transcriber` is a Recognizer that shares its weights."""

    def __init__(self, settings: VoxtralSettings, agents: dict[str, AgentSettings]) -> None:
        self._settings = settings
        self._agents = agents
        self._loaded: Loaded | None = None
        self._loading = asyncio.Lock()
        self._jobs: dict[str, DecodeJob] = {}
        self.listening = Listening()
        self.transcriber = VoxtralTranscriber(self.listening, self.load, self._transcribe, self.cancel)

    async def load(self) -> None:
        """See SpeechModel."""
        async with self._loading:
            if self._loaded is None:
                self._loaded = await asyncio.to_thread(self._load)

    async def learn(self, agents: dict[str, AgentSettings]) -> None:
        """See Learner."""
        if self._loaded:
            await asyncio.to_thread(self._loaded.learn, agents)
        self._agents = self._agents | agents

    def forget(self, agents: Collection[str]) -> None:
        """See Learner."""
        self._agents = {name: agent for name, agent in self._agents.items() if name not in agents}
        for name in agents:
            if self._loaded:
                self._loaded.prompts.pop(name, None)

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        """See SpeechModel. A reply that is cancelled by id ends without `Done`."""
        loaded, settings = self._ready(), self._settings
        if request.agent not in loaded.prompts:
            raise EngineError(f"there is no agent {request.agent!r}")
        prompt = loaded.prompts[request.agent].reply(request)
        audio, rate = clearest(request)
        job = DecodeJob(
            request.id,
            prompt.ids,
            audio if prompt.audio else b"",
            bands=self.listening.bands(request.call, audio, rate) if prompt.audio else None,
            rate=rate,
            call=request.call,
            shared=prompt.shared,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            seed=settings.seed,
            forbidden=settings.unfinished and not request.early,
        )
        reading = ReplyReader(loaded.vocabulary, markers=settings.unfinished and request.early)
        async with aclosing(self._tokens(loaded, job)) as tokens:
            async for token in tokens:
                for event in reading.add(token):
                    yield event
                    if not isinstance(event, Text):
                        yield Done()
                        return
        if job.cancelled:
            return
        for event in reading.end():
            yield event
        calls, done = conclude(reading.calls(), self._agents[request.agent])
        for call in calls:
            yield call
        yield done

    def cancel(self, request: str) -> None:
        """See SpeechModel."""
        if (job := self._jobs.get(request)) and self._loaded:
            self._loaded.streams.cancel(job)

    async def close(self) -> None:
        """See SpeechModel."""
        async with self._loading:
            loaded, self._loaded = self._loaded, None
            if loaded:
                await asyncio.to_thread(loaded.streams.close)

    def _load(self) -> Loaded:
        loaded = Loaded(load(self._settings), self._settings, self._agents)
        loaded.streams.start()
        return loaded

    def _ready(self) -> Loaded:
        if self._loaded is None:
            raise EngineError("Voxtral is not loaded")
        return self._loaded

    async def _transcribe(
        self, utterance: str, audio: bytes, rate: int, bands: torch.Tensor | None, agent: str
    ) -> AsyncGenerator[str, None]:
        """The words in mono PCM16, in pieces, once no caller is waiting for a reply."""
        loaded = self._ready()
        settings = self._agents.get(agent)
        prompt = transcription(loaded.tokenizer, settings.language.split("-")[0] if settings else "en")
        most = min(TRANSCRIPT_TOKENS, self._settings.context - len(prompt.ids))
        job = DecodeJob(utterance, prompt.ids, audio, bands, rate=rate, max_tokens=most, patient=True)
        reading = ReplyReader(loaded.vocabulary, markers=False)
        async with aclosing(self._tokens(loaded, job)) as tokens:
            async for token in tokens:
                for event in reading.add(token):
                    if isinstance(event, Text):
                        yield event.text
        for event in reading.end():
            if isinstance(event, Text):
                yield event.text

    async def _tokens(self, loaded: Loaded, job: DecodeJob) -> AsyncGenerator[int, None]:
        """The tokens of a job, which can be cancelled by id."""
        self._jobs[job.id] = job
        try:
            async with aclosing(loaded.streams.tokens(job)) as tokens:
                async for token in tokens:
                    yield token
        finally:
            if self._jobs.get(job.id) is job:
                del self._jobs[job.id]
