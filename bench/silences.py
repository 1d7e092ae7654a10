"""What a session knows in each silence of a turn, heard once in virtual time; from it follows when any settings would
end the turn, without hearing it again.
"""

from collections.abc import Iterable, Sequence
from math import ceil

import msgspec
import numpy as np

from agent import events as e
from agent.engine.base import Expect, FloatArray, Recognizer
from agent.listening.endpointing import wait_ms
from agent.listening.vad import Vad
from agent.state import State
from audio import g711, resample
from audio.rate import SAMPLES_PER_MS
from bench.virtual_call import FRAME_MS, HEARD_MS, SPOKEN_MS, VirtualCall
from config.settings import Settings, TurnSettings

BEFORE_MS = 1300  # the greeting, and a moment
NOISE_DBFS = -60.0  # of the line
LONG_MS = 600_000  # longer than any turn


class Spell(msgspec.Struct, frozen=True):
    """Frames of 20 ms in one silence that follow one another, with the same knowledge: at each the silence is 20 ms
    longer. Times are in ms of the turn's audio."""

    at_ms: float  # of the first
    silence_ms: float  # at the first
    count: int
    expect: Expect
    pauses: tuple[float, ...]
    complete: bool | None
    answered: bool | None
    finished: bool | None
    may_go_on: bool
    ready: bool  # the first words of the answer are there

    def fired_ms(self, settings: TurnSettings, begin_ms: float, end_ms: float) -> float | None:
        """When these settings end the turn in it, between two times; None if they do not."""
        wait = wait_ms(
            settings,
            expect=self.expect,
            pauses=self.pauses,
            complete=self.complete,
            answered=self.answered,
            finished=self.finished,
            may_go_on=self.may_go_on,
        )
        frames = max(0, ceil((wait - self.silence_ms) / FRAME_MS), ceil((begin_ms - self.at_ms) / FRAME_MS))
        at_ms = self.at_ms + frames * FRAME_MS
        return at_ms if frames < self.count and at_ms < end_ms else None


def fired_ms(spells: Iterable[Spell], settings: TurnSettings, begin_ms: float, end_ms: float) -> float | None:
    """When these settings end the turn between two times; None if they do not."""
    times = (spell.fired_ms(settings, begin_ms, end_ms) for spell in spells)
    return next((at for at in times if at is not None), None)


def heard_ms(spells: Iterable[Spell], fired_ms: float) -> float:
    """When the answer to a turn that was ended then is heard."""
    ready = (
        max(spell.at_ms, fired_ms)
        for spell in spells
        if spell.ready and fired_ms < spell.at_ms + spell.count * FRAME_MS
    )
    return next(ready, fired_ms + HEARD_MS + SPOKEN_MS)


def by_telephone(audio: FloatArray, before_ms: int, after_ms: int) -> bytes:
    """Mono audio at 8 kHz with silence around it, on a line with noise, through G.711 mu-law; whole frames of PCM16."""
    frame = FRAME_MS * SAMPLES_PER_MS
    audio = np.pad(audio, (before_ms * SAMPLES_PER_MS, after_ms * SAMPLES_PER_MS))
    audio = np.pad(audio, (0, -len(audio) % frame))
    noise = np.random.default_rng(0).standard_normal(len(audio)) * 10 ** (NOISE_DBFS / 20)
    return g711.decode(g711.encode(resample.to_pcm16(np.asarray(audio + noise, np.float32))))


class PatientCall(VirtualCall):
    """A call whose agent never ends the caller's turn, but notes what it knows in every frame of silence."""

    def __init__(
        self, name: str, agent: str, recognizer: Recognizer, vad: Vad, *, expect: Expect = Expect.OPEN
    ) -> None:
        usual = Settings()
        waits = dict.fromkeys(
            ("endpoint_ms", "endpoint_min_ms", "endpoint_max_ms", "endpoint_complete_ms", "endpoint_open_ms"), LONG_MS
        )
        turn = usual.turn.model_copy(update={**waits, "max_utterance_ms": LONG_MS})
        super().__init__(name, agent, recognizer, vad, usual.model_copy(update={"turn": turn}), expect=expect)
        self.spells: list[Spell] = []

    async def _send(self, event: e.Event) -> None:
        await super()._send(event)
        if isinstance(event, e.CallerAudio):
            self._note()

    def _note(self) -> None:
        session = self.session
        caller, speculative = session._caller, session._agent_turn.speculative  # what `Session._silence` looks at
        if session.state is not State.LISTENING or not caller.pausing:
            return
        now_ms, silence_ms = session.now_ms - BEFORE_MS, session.now_ms - caller.speech_end_ms
        enough = caller.turn_speech_ms >= session._settings.min_speech_ms
        if not enough or not caller.is_over(silence_ms, silence_ms):  # a sound may be the caller going on
            return
        answered = None if speculative is None else False if speculative.incomplete else bool(speculative.text) or None
        new = Spell(
            now_ms,
            silence_ms,
            1,
            session.memory.expect,
            tuple(caller.pauses),
            caller.complete,
            answered,
            caller.finished,
            caller.may_go_on,
            bool(speculative and speculative.waiting),
        )
        last = self.spells[-1] if self.spells else None
        self.spells[-1:] = [new] if last is None else _joined(last, new)


def _joined(last: Spell, new: Spell) -> Sequence[Spell]:
    """As one, where the new frame follows and nothing else is known."""
    ms = last.count * FRAME_MS
    goes_on = msgspec.structs.replace(last, at_ms=last.at_ms + ms, silence_ms=last.silence_ms + ms, count=1) == new
    return [msgspec.structs.replace(last, count=last.count + 1)] if goes_on else [last, new]
