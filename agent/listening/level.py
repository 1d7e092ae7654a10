"""How loud the caller is, in this burst of speech and usually. Sans-I/O.

The person on the phone is nearer to it than anybody else. So what is far below the caller's usual level is the room:
a television, other people, an echo of the agent.
"""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from math import log10, sqrt

from audio.loudness import rms

FULL_SCALE = 32768
SILENCE_DB = -96.0
KEPT = 500  # levels of one burst that are kept, 10 s
NOW = 5  # frames that make up the present moment
LOUD_SHARE = 0.3  # of a burst's frames, the loudest, that make up its level
MEMORY = 0.6  # of the usual level that a new turn keeps


class Level:
    """Levels of one call, in dBFS (RMS over a frame)."""

    def __init__(self) -> None:
        self.usual_db: float | None = None  # of the turns so far; None before the first
        self._frames: deque[int] = deque(maxlen=KEPT)  # RMS, 0..32768

    def begin(self) -> None:
        """A new burst; it began a moment ago."""
        now = list(self._frames)[-NOW:]
        self._frames.clear()
        self._frames.extend(now)

    def add(self, pcm: bytes) -> int:
        """The next frame, PCM16; gives its RMS."""
        level = rms(pcm)
        self._frames.append(level)
        return level

    def burst(self) -> float:
        """The RMS of the burst: the mean of its loudest frames."""
        return _mean(sorted(self._frames)[-max(1, round(LOUD_SHARE * len(self._frames))) :])

    @property
    def burst_db(self) -> float:
        """The level of the burst."""
        return _db(self.burst())

    @property
    def now_db(self) -> float:
        """The level of the last 100 ms."""
        return _db(_mean(list(self._frames)[-NOW:]))

    def recent_db(self, frames: int) -> float:
        """The level of the last frames, so many of them."""
        last = list(islice(reversed(self._frames), frames))
        return _db(sqrt(_mean([level * level for level in last])))

    def learn(self) -> None:
        """The burst was a turn of the caller's."""
        usual = self.burst_db if self.usual_db is None else self.usual_db
        self.usual_db = MEMORY * usual + (1 - MEMORY) * self.burst_db

    def is_near(self, below_db: float, level_db: float) -> bool:
        """Whether a level is no more than `below_db` under the usual one, as far as that is known."""
        return self.usual_db is None or level_db >= self.usual_db - below_db


def _mean(frames: Sequence[int]) -> float:
    return sum(frames) / len(frames) if frames else 0.0


def _db(rms: float) -> float:
    return 20 * log10(rms / FULL_SCALE) if rms else SILENCE_DB
