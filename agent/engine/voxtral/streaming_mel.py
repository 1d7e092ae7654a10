"""Utterances in progress, and the spectrograms that grow with them."""

import torch

from agent.engine.base import Recognizer, SpeechBlock, Transcript, clearest
from agent.engine.voxtral.mel import GrowingMel, MelSpectrogram
from audio.rate import RATE

MAX_UTTERANCES = 256  # of at most 3 MB each; beyond that, the oldest one's call must have been lost


class UtteranceMel:
    """One in progress."""

    def __init__(self, block: SpeechBlock, mel: MelSpectrogram) -> None:
        self.call = block.call
        self.agent = block.agent
        self.mel = GrowingMel(mel, clearest(block)[1])


class Listening:
    """Hears every block once, some 0.2 ms each, so that the spectrogram is almost ready at the end of a turn."""

    def __init__(self) -> None:
        self._mel = MelSpectrogram(torch.device("cpu"))
        self._utterances: dict[str, UtteranceMel] = {}
        self._last: dict[str, UtteranceMel] = {}  # by call

    def hear(self, block: SpeechBlock) -> None:
        """The next block of an utterance."""
        utterance = self._utterances.get(block.utterance)
        if utterance is None:
            if len(self._utterances) >= MAX_UTTERANCES:
                self.forget(next(iter(self._utterances)))
            utterance = self._utterances[block.utterance] = self._last[block.call] = UtteranceMel(block, self._mel)
        utterance.mel.add(clearest(block)[0])

    def get(self, name: str) -> UtteranceMel | None:
        """An utterance by its id."""
        return self._utterances.get(name)

    def bands(self, call: str, audio: bytes, rate: int = RATE) -> torch.Tensor | None:
        """The spectrogram's frames of a call's turn, if its utterance has been heard; see GrowingMel."""
        utterance = self._last.get(call)
        return utterance.mel.bands(audio) if utterance and utterance.mel.rate == rate else None

    def forget(self, name: str) -> UtteranceMel | None:
        """An utterance is over, or was never one; gives it if it was known."""
        utterance = self._utterances.pop(name, None)
        if utterance and self._last.get(utterance.call) is utterance:
            del self._last[utterance.call]
        return utterance

    def clear(self) -> None:
        """Forget all of them."""
        self._utterances.clear()
        self._last.clear()


class Overhearing:
    """Wraps a Recognizer: the model hears its blocks as well."""

    def __init__(self, recognizer: Recognizer, listening: Listening) -> None:
        self._recognizer = recognizer
        self._listening = listening

    async def load(self) -> None:
        """See Recognizer."""
        await self._recognizer.load()

    async def hear(self, block: SpeechBlock) -> Transcript:
        """See Recognizer."""
        self._listening.hear(block)
        return await self._recognizer.hear(block)

    async def finish(self, utterance: str) -> Transcript:
        """See Recognizer."""
        self._listening.forget(utterance)
        return await self._recognizer.finish(utterance)

    def cancel(self, utterance: str) -> None:
        """See Recognizer."""
        self._listening.forget(utterance)
        self._recognizer.cancel(utterance)

    async def close(self) -> None:
        """See Recognizer."""
        self._listening.clear()
        await self._recognizer.close()
