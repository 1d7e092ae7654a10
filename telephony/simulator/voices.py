"""The caller's voice: recordings of the lines of the shipped scripts, and espeak-ng for any other text."""

import logging
import re
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from agent.engine.embedded.synthesizer import say
from agent.exceptions import EngineError

FOLDER = Path(__file__).with_name("recordings")
# The recorded voices, each with espeak-ng's that comes nearest.
VOICES = {
    "am_michael": "en-us+adam",
    "am_onyx": "en-us+m3",
    "bm_george": "en-gb+m3",
    "bf_emma": "en-gb+f2",
    "af_bella": "en-us+f4",
    "af_heart": "en-us+f2",
}

DEFAULT = "am_michael"  # of scripts that choose none; understood best

logger = logging.getLogger("voxline.simulator")


def path_of(text: str, voice: str, folder: Path = FOLDER) -> Path:
    """Where the recording of a text is, or would be. Small and capital letters, and marks, make no difference."""
    words = re.findall(r"\w+", text.lower().replace("'", ""))
    return folder / voice / f"{'_'.join(words)}.opus"


@cache
def recordings() -> frozenset[Path]:
    """All there are."""
    return frozenset(FOLDER.rglob("*.opus"))


class CallerVoice:
    """Speaks for one caller. See Speak."""

    def __init__(self) -> None:
        self._warned = False

    def __call__(self, text: str, voice: str, speed: float) -> tuple[NDArray[np.float32], int]:
        """Mono float32 in -1..1, and its rate in Hz. A recording has one pace: at any other `speed` espeak-ng speaks.
        Raises EngineError for a voice that neither is recorded nor espeak-ng has."""
        path = path_of(text, voice)
        if speed == 1.0 and path in recordings():
            audio, rate = soundfile.read(path, dtype="float32")
            return audio, rate
        if voice in VOICES and not self._warned:
            self._warned = True
            logger.warning("espeak-ng says what is not recorded in the voice %s, such as %r", voice, text)
        try:
            return say(text, VOICES.get(voice, voice), speed)
        except EngineError as error:
            raise EngineError(f"{error}; recorded are {', '.join(VOICES)}") from error
