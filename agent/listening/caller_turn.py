"""The caller's side of a conversation: the current turn, and what this call has shown about the caller. Sans-I/O."""

from collections import deque
from collections.abc import Sequence

from agent.engine.base import Expect, Meaning
from agent.listening.endpointing import PAUSES_KEPT, wait_ms
from agent.listening.level import FULL_SCALE, Level
from agent.listening.music import Music
from agent.listening.silence import Silence
from agent.listening.turn_detector import TurnDetector
from agent.listening.utterance import Utterance
from audio.rate import BYTES_PER_MS, WINDOW_MS
from config.settings import TurnSettings

MAX_DIGITS = 64
NOTE_MS = 800  # music is taken for speech for no longer than that
NOTE_DB = 10  # music behind a note is at most so far below it; behind a word that is said over music it is farther
NOTE_SHARE, MUSIC_SHARE = 0.3, 0.5  # of the time that must be music: behind a note; without one
BEFORE_MS = 1000  # how much is looked at before a note
MUSIC_DB = -45  # dBFS; softer music is not hold music
AFTER_MUSIC_MS = 10_000  # how long it may go on after it was last noticed
DOUBT_DB = 2  # of turn.background_db
RISING_MS = 200  # a turn that is over waits at most so long for what may be speech going on


class CallerTurn:
    """What the caller is saying or dialling now."""

    def __init__(self, settings: TurnSettings) -> None:
        self.detector = TurnDetector(settings)
        self.utterance = Utterance(settings.preroll_ms, settings.max_utterance_ms)
        self.level = Level()
        self._silence = Silence()
        self._music = Music()
        self._music_until_ms = 0.0
        self.digits = ""
        self.over = False  # the turn began while the agent was talking
        self.meaning: Meaning | None = None  # of the recognizer's present guess
        self.complete: bool | None = None  # as far as the same guess tells
        self.finished: bool | None = None  # as the final transcript tells, heard in the present silence
        self.may_go_on = False  # as the same tells
        self.speech_ms = 0  # of earlier bursts of this turn
        self.attempts = 0  # speculative replies made in this turn
        self._settings = settings
        self._pauses: deque[float] = deque(maxlen=PAUSES_KEPT)
        self._after_all: deque[float] = deque(maxlen=PAUSES_KEPT)  # those of them after what seemed to be all

    @property
    def talking(self) -> bool:
        """Whether a turn is open and its speech goes on, or has only paused."""
        return self.utterance.open and self.detector.speaking

    @property
    def pausing(self) -> bool:
        """Whether a turn is open and the caller is silent."""
        return self.utterance.open and self.detector.speaking and self.detector.silence_ms > 0

    @property
    def turn_speech_ms(self) -> int:
        """Speech in the present turn."""
        return self.speech_ms + (self.detector.speech_ms if self.detector.speaking else 0)

    def hear(self, pcm: bytes, wide: bytes = b"") -> None:
        """Take the next piece of audio, at 8 kHz and, on a wide-band line, at 16."""
        self.utterance.add(pcm, wide)
        self._music.add(pcm)
        self._silence.add(len(pcm) / BYTES_PER_MS, self.level.add(pcm))

    def hold(self) -> None:
        """From now on nobody listens."""
        self.detector.end()
        self.utterance.forget()
        self._music.forget()

    def skip(self, ms: float) -> None:
        """So much time has passed in which nobody listened."""
        self._silence.skip(ms)

    def retrieve(self, now_ms: float) -> None:
        """From here on a silence counts: no caller pauses as long as a hold."""
        self.detector.ended_ms = int(now_ms)

    def begin(self, *, over: bool = False) -> None:
        """Speech was noticed: a new turn, or more of the one that is open."""
        if not self.utterance.open:
            self.speech_ms = self.attempts = 0
            self.over = over
            self.level.begin()
        self.listen_again()

    def listen_again(self) -> None:
        """The recognizer hears the turn from its beginning, under a new number."""
        self.utterance.begin()
        self.meaning = self.complete = self.finished = None
        self.may_go_on = False

    @property
    def speech_end_ms(self) -> float:
        """Where the last speech ended, as far as can be known now."""
        spoke_ms = self.detector.last_speech_ms
        return self._silence.end_ms(spoke_ms, self.level.burst) if self._settings.adapt_loudness else spoke_ms

    def is_over(self, silence_ms: float, wait_ms: float) -> bool:
        """Whether so long a silence ends the turn that ends after `wait_ms`: it does, unless speech seems to go on."""
        if silence_ms < wait_ms:
            return False
        return silence_ms >= wait_ms + RISING_MS or not (self._settings.adapt_loudness and self._silence.rising)

    # Music on hold, and tones

    def was_music(self, now_ms: float) -> bool:
        """Whether what has just been taken for speech, and has paused, was a piece of music."""
        behind_ms = self.detector.last_speech_ms + 2 * WINDOW_MS
        return self._is_note(behind_ms, now_ms, NOTE_SHARE, now_ms)

    def seems_music(self, now_ms: float) -> bool:
        """Whether what is being taken for speech seems to be a piece of music: it had been there before."""
        started_ms = self.detector.started_ms - 2 * WINDOW_MS
        return self._is_note(started_ms - BEFORE_MS, started_ms, MUSIC_SHARE, now_ms)

    def _is_note(self, start_ms: float, end_ms: float, share: float, now_ms: float) -> bool:
        if not self._settings.ignore_music or self.digits or self.speech_ms or self.turn_speech_ms > NOTE_MS:
            return False
        found = self._music.share(start_ms, end_ms, self.level.burst() / 10 ** (NOTE_DB / 20), now_ms) >= share
        if found:
            self._music_until_ms = now_ms + AFTER_MUSIC_MS
        return found

    def hears_music(self, now_ms: float) -> bool:
        """Whether there is music now, and nobody speaks."""
        level = FULL_SCALE * 10 ** (MUSIC_DB / 20)
        return (
            self._settings.ignore_music and self._music.share(now_ms - BEFORE_MS, now_ms, level, now_ms) >= MUSIC_SHARE
        )

    def may_be_tone(self, probability: float, now_ms: float) -> bool:
        """While the agent is talking: whether what the detector is not sure of is no reason to pause."""
        sure = probability >= self._settings.onset_probability or not self._settings.ignore_music
        return not sure and (now_ms < self._music_until_ms or self._music.is_tone())

    # What the call teaches

    def paused_and_went_on(self) -> None:
        """A pause inside a turn is remembered: this caller makes such pauses."""
        self._went_on(self.detector.pause_ms)

    def went_on_late(self) -> None:
        """A pause was taken for the end of the turn, wrongly."""
        self._went_on(self.detector.started_ms - self.detector.ended_ms)

    def _went_on(self, pause_ms: float) -> None:
        self._pauses.append(pause_ms)
        if self.finished:
            self._after_all.append(pause_ms)

    @property
    def pauses(self) -> Sequence[float]:
        """The caller's, of those in silences like the present one: one in the middle of an answer tells nothing of its
        end."""
        return self._after_all if self.finished and self._settings.adapt_transcript else self._pauses

    def wait_ms(self, expect: Expect, *, answered: bool | None = None) -> float:
        """The silence that ends the present turn. `answered`: see endpointing.wait_ms."""
        return wait_ms(
            self._settings,
            expect=expect,
            pauses=self.pauses,
            complete=self.complete,
            answered=answered,
            finished=self.finished,
            may_go_on=self.may_go_on,
        )

    def early(self, silence_ms: float) -> bool:
        """Whether a silence of this length calls for a speculative reply."""
        settings = self._settings
        few = self.attempts < settings.eager_attempts and not self.digits
        return few and settings.eager_ms <= silence_ms < settings.endpoint_ms

    def near(self) -> bool:
        """Whether the present burst is as loud as the caller usually is."""
        return self.level.is_near(self._settings.background_db, self.level.burst_db)

    def surely_near(self) -> bool:
        """The same with less doubt: a single person in the room may be nearly as loud."""
        return self.level.is_near(self._settings.background_db - DOUBT_DB, self.level.burst_db)

    def surely_near_now(self) -> bool:
        """The same of the last moment."""
        return self.level.is_near(self._settings.background_db - DOUBT_DB, self.level.now_db)

    def decided(self) -> None:
        """The turn is over, as far as is known now; if the speech goes on before the answer, it counts on."""
        self.speech_ms = self.turn_speech_ms
        self.detector.end()

    def end(self) -> None:
        """The turn has been answered, or was not one."""
        self.utterance.close()
        self.digits = ""
        self.speech_ms = 0

    def dial(self, digit: str) -> None:
        """A key was pressed."""
        self.digits = (self.digits + digit)[:MAX_DIGITS]
