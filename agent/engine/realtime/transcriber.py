"""All utterances being transcribed: which has a slot of the model, which waits, and which answers are due.

It belongs to one thread. Whatever has audio ready takes part in the next step; no utterance waits for another's audio.
"""

import heapq
import logging

from transformers import VoxtralRealtimeProcessor

from agent.engine.base import SpeechBlock, Transcript, clearest
from agent.engine.faults import judge
from agent.engine.realtime.model import RealtimeModel, Work
from agent.engine.realtime.utterance import Answer, RealtimeUtterance
from agent.exceptions import EngineError, OutOfMemory

MAX_UTTERANCES = 1000  # at once, including those waiting for a slot

log = logging.getLogger("voxline.engine.realtime")


class Transcriber:
    """At most `slots` utterances are heard at once; further ones wait in the order in which they began."""

    def __init__(self, model: RealtimeModel, processor: VoxtralRealtimeProcessor, slots: int) -> None:
        self._model = model
        self._tokenizer = processor.tokenizer
        self._free = list(range(slots))  # a heap: low slots first, so that a step works on few rows
        self._utterances: dict[str, RealtimeUtterance] = {}
        self._kept: dict[str, RealtimeUtterance] = {}  # each call's last one, which is over and still in its slot
        self._count = 0

    def hear(self, block: SpeechBlock, answer: Answer) -> None:
        """More of an utterance; answered when it has been heard, or at once while the utterance waits for a slot."""
        utterance = self._utterances.get(block.utterance)
        if utterance is None:
            if len(self._utterances) >= MAX_UTTERANCES:
                answer(EngineError("too many utterances at once"))
                return
            utterance = self._utterances[block.utterance] = self._open(block)
            self._admit()
        elif utterance.failed:
            answer(utterance.failed)
            return
        else:
            utterance.add(clearest(block)[0])
        if utterance.slot is None:
            answer(Transcript(""))
            return
        utterance.answers.append(answer)
        self._settle(utterance)

    def finish(self, name: str, answer: Answer) -> None:
        """The utterance is over; answered when its last words are there. An unknown one has an empty transcript."""
        utterance = self._utterances.get(name)
        if utterance is None:
            answer(Transcript("", final=True))
        elif utterance.failed:
            del self._utterances[name]
            answer(utterance.failed)
        else:
            utterance.end()
            utterance.last_answer = answer

    def cancel(self, name: str) -> None:
        """Forget an utterance; its slot is free at once."""
        utterance = self._utterances.pop(name, None)
        if utterance:
            self._release(utterance, Transcript(""))
            self._admit()

    def step(self) -> bool:
        """One step for all utterances that have audio; whether there were any."""
        ready = {name: utterance for name, utterance in self._utterances.items() if self._ready(utterance)}
        if not ready:
            return False
        try:
            tokens = self._model.step([_work(utterance) for utterance in ready.values()])
        except Exception as error:  # noqa: BLE001 (whatever torch raises costs one utterance only)
            self._shed(max(ready.values(), key=lambda utterance: utterance.number), error)
            return True
        for (name, utterance), token in zip(ready.items(), tokens, strict=True):
            utterance.push(token)
            if utterance.over():
                del self._utterances[name]
                self._release(utterance, Transcript(self._text(utterance), final=True))
            else:
                self._settle(utterance)
        self._admit()
        return True

    def close(self, error: EngineError) -> None:
        """Give `error` to everyone still waiting."""
        for utterance in self._utterances.values():
            self._release(utterance, error)
        self._utterances.clear()

    def _open(self, block: SpeechBlock) -> RealtimeUtterance:
        """A new utterance, or the call's last one if the caller goes on with it."""
        number = self._count
        self._count += 1
        kept = self._kept.pop(block.call, None)
        audio, rate = clearest(block)
        if kept and kept.slot is not None:
            if longer := kept.goes_on(number, audio, rate):
                self._model.rewind(kept.slot)
                return longer
            heapq.heappush(self._free, kept.slot)
        utterance = RealtimeUtterance(number, block.call, self._model.layout, rate)
        utterance.add(audio)
        return utterance

    def _ready(self, utterance: RealtimeUtterance) -> bool:
        """Whether it has a slot and audio for a step, the silence at its end included."""
        if utterance.slot is None:
            return False
        if utterance.at_end():
            self._model.mark(utterance.slot)
            utterance.add_silence()
        return utterance.ready()

    def _admit(self) -> None:
        """Slots for those that wait: free ones, then those kept for callers who might go on, the oldest first."""
        for utterance in self._utterances.values():
            if utterance.slot is None and not utterance.failed:
                if self._free:
                    utterance.slot = heapq.heappop(self._free)
                elif self._kept:
                    utterance.slot = self._kept.pop(next(iter(self._kept))).slot
                else:
                    return
                assert utterance.slot is not None
                self._model.open(utterance.slot)

    def _settle(self, utterance: RealtimeUtterance) -> None:
        """Answer those waiting for a partial transcript, if all audio has been heard."""
        if utterance.answers and not utterance.ready():
            transcript = Transcript(self._text(utterance))
            for answer in utterance.answers:
                answer(transcript)
            utterance.answers.clear()

    def _release(self, utterance: RealtimeUtterance, outcome: Transcript | EngineError) -> None:
        """There is nothing more to hear in it."""
        self._give_back(utterance)
        for answer in utterance.answers:
            answer(outcome)
        utterance.answers.clear()
        if utterance.last_answer is not None:
            utterance.last_answer(outcome)

    def _give_back(self, utterance: RealtimeUtterance) -> None:
        """Free its slot, or keep it in case the caller goes on."""
        if utterance.slot is None:
            return
        freed: RealtimeUtterance | None = utterance
        if utterance.marked and not utterance.failed:
            freed = self._kept.pop(utterance.call, None)
            self._kept[utterance.call] = utterance
        if freed and freed.slot is not None:
            heapq.heappush(self._free, freed.slot)
            freed.slot = None

    def _shed(self, utterance: RealtimeUtterance, error: Exception) -> None:
        """A step has failed: let the newest utterance go, so that the others can go on."""
        utterance.failed = judge(error, "Voxtral Realtime", "lower engine.realtime.streams")
        log.error("%s", utterance.failed, exc_info=None if isinstance(utterance.failed, OutOfMemory) else error)
        if utterance.last_answer is not None:
            self._utterances = {name: item for name, item in self._utterances.items() if item is not utterance}
        self._release(utterance, utterance.failed)
        self._admit()

    def _text(self, utterance: RealtimeUtterance) -> str:
        """Its words so far; a letter with bytes still missing is left out."""
        text: str = self._tokenizer.decode(utterance.tokens, skip_special_tokens=True)
        return text.rstrip("\ufffd").strip()


def _work(utterance: RealtimeUtterance) -> Work:
    assert utterance.slot is not None
    return Work(utterance.slot, utterance.token(), utterance.frame())
