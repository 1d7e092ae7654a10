"""The project's own set of turns with pauses in them, in three parts with other voices and other sentences each.

"seen" is for work on voxline, "unseen" for the end of it; "third" is by somebody who had seen neither. Four kinds of
turns: whole sentences that an agent's dialogue expects, in voices of Kokoro, with a pause where a comma stands;
recordings of the simulated callers one after another, as of a caller who goes on after a whole sentence; people in open
speech, as tests/recordings has them; and open speech to the front desk. The pauses are brought to each of PAUSES_MS.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import accumulate, pairwise, product
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pocketsphinx
import soundfile

from agent.engine.base import Expect, FloatArray
from audio import resample, wav
from audio.rate import RATE, SAMPLES_PER_MS, WIDE_RATE
from bench.eot_rows import Turn
from bench.sounds import SPEECH
from telephony.simulator import voices
from telephony.simulator.clip import find_speech

RECORDINGS = Path(__file__).parent / "recordings"
PAUSES_MS = (150, 250, 350, 500, 700)
LEVEL_DBFS = -20.0
BLOCK = 10 * SAMPLES_PER_MS
QUIET_DB = 30.0  # below the loudest 10 ms
LEAST_MS = 100  # of a pause of their own
NEAR = (200, 40)  # ms before and behind where a word seems to begin
_WORD = re.compile(r"[a-z']+")
OPEN, YES_NO, DIGITS, TEXT, DATE, TIME = (
    Expect.OPEN,
    Expect.YES_NO,
    Expect.DIGITS,
    Expect.TEXT,
    Expect.DATE,
    Expect.TIME,
)


class Sentence(msgspec.Struct, frozen=True):
    """What a caller says to an agent that has asked for an answer of a kind. A pause is made at every `|`; where the
    parts are not spoken as one, each is a recording."""

    text: str
    agent: str = "front_desk"
    expect: Expect = Expect.OPEN
    answer: bool = False  # it is the whole answer that was asked for


class PausedTurn(msgspec.Struct, frozen=True):
    """A turn, and what is known of it."""

    turn: Turn
    kind: str  # expected, joined, people, open
    agent: str = ""  # empty: one without a dialogue
    expect: Expect = Expect.OPEN
    answer: bool = False
    made_ms: int = 0  # how long the pauses are that were made; others are the speaker's own


class Half(msgspec.Struct, frozen=True):
    """One part of the set."""

    spoken: tuple[Sentence, ...]  # whole, by each of `speakers`
    speakers: tuple[str, ...]
    joined: tuple[Sentence, ...] = ()  # of the recordings of each of `callers`
    callers: tuple[str, ...] = ()
    people: tuple[str, ...] = ()  # files of tests/recordings
    open: tuple[Sentence, ...] = ()  # whole, by each of `speakers`: what no dialogue expects

    def whole(self) -> Iterator[tuple[str, Sentence]]:
        """What is spoken whole, by whom."""
        return product(self.speakers, (*self.spoken, *self.open))


HALVES = {
    "seen": Half(
        spoken=(
            Sentence("I'd like to book an appointment,| on Tuesday at ten o'clock."),
            Sentence("I'd like to,| book an appointment."),
            Sentence("Hello,| what are your opening hours, please?"),
            Sentence("Could you tell me,| where your office is?"),
            Sentence("On Monday,| at nine o'clock."),
            Sentence("I need to cancel my appointment,| number one two three four."),
            Sentence("Three seven,| two nine.", expect=DIGITS, answer=True),
            Sentence("Yes,| that's right.", expect=YES_NO, answer=True),
            Sentence("On Friday,| at half past seven.", "restaurant", DATE, answer=True),
            Sentence("I'd like to book a table,| for four people,| on Saturday at seven.", "restaurant"),
            Sentence("At half past,| seven.", "restaurant", TIME, answer=True),
            Sentence("Twelve,| Hill Road.", "plumber", TEXT),
        ),
        speakers=("af_sarah", "am_adam", "bf_alice"),
        joined=(
            Sentence("I'd like to book.| An appointment."),
            Sentence("I'd like to book an appointment.| On Tuesday.| At ten o'clock."),
            Sentence("One two.| Three four.", expect=DIGITS, answer=True),
            Sentence("Yes.", expect=YES_NO, answer=True),
            Sentence("What are your opening hours?"),
            Sentence("At ten o'clock.", "plumber", TIME, answer=True),
        ),
        callers=("af_bella", "af_heart", "am_michael"),
        people=("librivox-0870", "goforward", "cards-1", "cards-2"),
    ),
    "unseen": Half(
        spoken=(
            Sentence("I want to make an appointment,| for Wednesday at two o'clock."),
            Sentence("Can I,| see the dentist on Thursday?"),
            Sentence("What time,| do you close?"),
            Sentence("Thank you,| and how do I get there?"),
            Sentence("On Friday,| at eleven o'clock."),
            Sentence("Cancel the appointment,| number four oh eight one."),
            Sentence("Five five five,| one two three,| four five six seven.", "plumber", DIGITS, answer=True),
            Sentence("No,| that's wrong.", expect=YES_NO, answer=True),
            Sentence("Next Thursday,| at two in the afternoon.", "plumber", DATE, answer=True),
            Sentence("I need a refill,| for prescription number six one eight two four four.", "pharmacy"),
            Sentence("At a quarter,| to nine.", "plumber", TIME, answer=True),
            Sentence("Under the name of,| Miller.", "restaurant", TEXT),
        ),
        speakers=("af_nova", "am_fenrir", "bm_daniel"),
        joined=(
            Sentence("I'd like to order a cake.| Chocolate, please.| On Saturday.", "bakery"),
            Sentence("No, wait.| Cancel my appointment."),
            Sentence("On Tuesday.| At ten o'clock.", "plumber", DATE, answer=True),
            Sentence("Yes, please.", expect=YES_NO, answer=True),
            Sentence("Could you tell me your opening hours, please?"),
            Sentence("No.", expect=YES_NO, answer=True),
        ),
        callers=("am_onyx", "bf_emma", "bm_george"),
        people=("librivox-0880", "librivox-0890", "cards-3", "numbers"),
    ),
    "third": Half(
        spoken=(
            Sentence("Hi I'd like to book a check-up for,| Tuesday at ten o'clock please."),
            Sentence("I've got to cancel my appointment and the number's,| three eight zero five."),
            Sentence(
                "We've got a blocked drain so could somebody come out,| Thursday at nine to,| sixteen Orchard Road?",
                "plumber",
            ),
            Sentence(
                "Would you get someone to ring me back on,| four one five eight two two nine zero six three?", "plumber"
            ),
            Sentence("Can I get a table for,| six people this Friday,| at half past seven?", "restaurant"),
            Sentence("Just checking whether you still serve lunch on,| Sundays after two o'clock.", "restaurant"),
            Sentence("I'm nearly out of tablets so can you refill,| four four one seven two nine?", "pharmacy"),
            Sentence("My daughter wants one of your chocolate cakes,| for Saturday if that's not too late.", "bakery"),
            Sentence(
                "Could you pass on a message that I'll be,| an hour late picking up my order on Sunday?", "bakery"
            ),
            Sentence("Hang on it's four seven,| one nine.", expect=DIGITS, answer=True),
            Sentence("Five five two,| eight one six,| three zero nine four.", "plumber", DIGITS, answer=True),
            Sentence("Yeah I think that should,| work fine for me.", expect=YES_NO, answer=True),
            Sentence("That'd be the,| twenty third of October.", "restaurant", DATE, answer=True),
            Sentence("What suits me best is probably,| eleven o'clock.", expect=TIME, answer=True),
            Sentence("We're at thirty four,| Willow Lane.", "plumber", TEXT, answer=True),
            Sentence("You can put it down under,| Riverside Cycling Club.", "restaurant", TEXT, answer=True),
        ),
        speakers=("af_kore", "am_echo", "bm_lewis"),
        open=(
            Sentence("So the dog got out again last night and,| we found him asleep in the neighbour's shed."),
            Sentence("The thing is every time I turn the heating up,| the lights in the hallway start to flicker."),
            Sentence("I suppose we could take the train but then,| we'd have to carry all those boxes ourselves."),
            Sentence("My sister moved out to the coast because,| she just couldn't stand the traffic any more."),
        ),
    ),
}


def turns(name: str) -> Iterator[PausedTurn]:
    """All turns of the half with this name."""
    half = HALVES[name]
    for made_ms in PAUSES_MS:
        for voice, sentence in half.whole():
            parts = parted(recording(recording_of(sentence, voice), WIDE_RATE), sentence.text)
            yield _turn(voice, sentence, "open" if sentence in half.open else "expected", parts, made_ms)
        for voice, sentence in product(half.callers, half.joined):
            parts = [_trimmed(recording(voices.path_of(part, voice), RATE)) for part in sentence.text.split("|")]
            yield _turn(voice, sentence, "joined", parts, made_ms)
        for person in half.people:
            audio = _trimmed(resample.resample(*wav.read(SPEECH / f"{person}.wav"), RATE))
            yield _turn("person", Sentence(person, ""), "people", halves(audio), made_ms)


def recording_of(sentence: Sentence, voice: str) -> Path:
    """Where a sentence by one of the speakers is."""
    return voices.path_of(sentence.text, voice, RECORDINGS)


def parted(audio: FloatArray, text: str) -> list[FloatArray]:
    """A sentence at 16 kHz, cut before each word that follows a `|`, at the quietest moment there: the parts, at 8 kHz,
    without silence around them."""
    parts = [_WORD.findall(part.lower()) for part in text.split("|")]
    starts = _starts(audio, [word for part in parts for word in part])
    firsts = [starts[number] for number in list(accumulate(map(len, parts)))[:-1]]
    edges = [0, *(_quietest(audio, first) for first in firsts), len(audio)]
    return [_trimmed(resample.resample(audio[begin:end], WIDE_RATE, RATE)) for begin, end in pairwise(edges)]


def _starts(audio: FloatArray, words: list[str]) -> list[int]:
    """Where each word begins, in samples: pocketsphinx is told what is said, and finds out when."""
    decoder = _decoder()
    decoder.set_align_text(" ".join(words))
    decoder.start_utt()
    decoder.process_raw(resample.to_pcm16(audio), full_utt=True)
    decoder.end_utt()
    if decoder.hyp() is None:
        raise ValueError(f"{' '.join(words)!r} is not what is said")
    return [segment.start_frame * WIDE_RATE // 100 for segment in decoder.seg() if segment.word[0] not in "<["]


@cache
def _decoder() -> Any:
    return pocketsphinx.Decoder(samprate=WIDE_RATE, loglevel="FATAL", beam=1e-100, wbeam=1e-100, pbeam=1e-100)


def _quietest(audio: FloatArray, word: int) -> int:
    """The middle of the quietest 30 ms where a word begins, or in the pause before it."""
    begin, end, size = word - NEAR[0] * WIDE_RATE // 1000, word + NEAR[1] * WIDE_RATE // 1000, 30 * WIDE_RATE // 1000
    power = np.convolve(audio[begin:end] ** 2, np.ones(size), "valid")
    return begin + int(np.argmin(power)) + size // 2


def halves(audio: FloatArray) -> list[FloatArray]:
    """Open speech, cut at its quietest moment near the middle."""
    third = len(audio) // 3
    energy = np.convolve(audio[third : 2 * third] ** 2, np.ones(400), "valid")
    cut = third + int(np.argmin(energy)) + 200
    return [_trimmed(audio[:cut]), _trimmed(audio[cut:])]


def _turn(voice: str, sentence: Sentence, kind: str, parts: list[FloatArray], made_ms: int) -> PausedTurn:
    """The parts with pauses of silence between them, and every pause that is in it."""
    audio = _at_level(np.concatenate([parts[0], *(_after_pause(part, made_ms) for part in parts[1:])]))
    turn = Turn(
        f"{voice} {sentence.text} {made_ms}",
        audio,
        tuple((begin / SAMPLES_PER_MS, end / SAMPLES_PER_MS) for begin, end in _quiet(audio)),
        len(audio) / SAMPLES_PER_MS,
    )
    made = made_ms if len(parts) > 1 else 0
    return PausedTurn(turn, kind, sentence.agent, sentence.expect, sentence.answer, made)


def _after_pause(part: FloatArray, ms: int) -> FloatArray:
    return np.concatenate([np.zeros(ms * SAMPLES_PER_MS, np.float32), part])


def _quiet(audio: FloatArray) -> list[tuple[int, int]]:
    """Where it is quiet for LEAST_MS and longer, in samples."""
    blocks = np.pad(audio, (0, -len(audio) % BLOCK)).reshape(-1, BLOCK)
    rms = np.sqrt(np.mean(np.square(blocks), axis=1))
    quiet = np.concatenate([[False], rms < rms.max() * 10 ** (-QUIET_DB / 20), [False]])
    begins, ends = np.flatnonzero(quiet[1:] & ~quiet[:-1]), np.flatnonzero(quiet[:-1] & ~quiet[1:])
    runs = [(int(begin) * BLOCK, int(end) * BLOCK) for begin, end in zip(begins, ends, strict=True)]
    return [run for run in runs if run[1] - run[0] >= LEAST_MS * SAMPLES_PER_MS]


def recording(path: Path, wanted: int) -> FloatArray:
    """Mono, at the wanted rate."""
    audio, rate = soundfile.read(path, dtype="float32")
    return resample.resample(audio, rate, wanted)


def _trimmed(audio: FloatArray) -> FloatArray:
    begin, end = find_speech(audio)
    return audio[begin:end]


def _at_level(audio: FloatArray) -> FloatArray:
    loud = audio[np.abs(audio) > 0.03 * np.abs(audio).max()]
    return audio * np.float32(10 ** (LEVEL_DBFS / 20) / np.sqrt(np.mean(loud**2)))
