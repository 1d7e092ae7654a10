"""A caller's script: what they say and do, step by step. YAML in, checked settings out."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, field_validator, model_validator

from config import strict_yaml
from config.exceptions import SettingsError
from telephony.simulator.voices import DEFAULT

LONGEST_FILE = 1_000_000  # bytes

Milliseconds = Annotated[int, Field(ge=0, le=600_000)]
Level = Annotated[float, Field(ge=-90, le=0)]
Speed = Annotated[float, Field(ge=0.5, le=2.0)]
Words = Annotated[str, Field(min_length=1, max_length=2000)]


class ScriptError(SettingsError):
    """A script is wrong; the message names the file, the step and the key."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Speech(_Part):
    """What every step with speech may also set; unset: as the script says."""

    voice: str | None = None  # recorded, such as af_heart, or espeak-ng's name for one
    speed: Speed | None = None
    level_dbfs: Level | None = None  # RMS of the active speech
    answer: bool = True  # False: a backchannel or an aside, to which the agent need not answer


class NoiseSource(_Part):
    """A noise on the caller's side."""

    kind: Literal["white", "cough", "babble"] = "white"
    ms: Annotated[int, Field(ge=20, le=60_000)] = 500
    level_dbfs: Level = -30.0


class Say(_Speech):
    """Say a text."""

    say: Words


class Wav(_Speech):
    """Play a WAV file (16-bit, any rate; relative to the script)."""

    wav: Path


class Noise(_Part):
    """Make a noise."""

    noise: NoiseSource


class Interruption(_Speech):
    """Talk over the agent, `after_ms` after it starts its next utterance: one of say, wav, noise."""

    after_ms: Milliseconds = 1000
    mid_word: bool = False  # not before the agent is in mid-word, so that one can hear it stop
    timeout_ms: Milliseconds | None = None  # for the agent to start
    say: Words | None = None
    wav: Path | None = None
    noise: NoiseSource | None = None

    @model_validator(mode="after")
    def _one_sound(self) -> "Interruption":
        if sum(sound is not None for sound in (self.say, self.wav, self.noise)) != 1:
            raise ValueError("exactly one of say, wav, noise is needed")
        return self


class Interrupt(_Part):
    """Talk over the agent."""

    interrupt: Interruption


class Waiting(_Part):
    """The agent has finished once it has spoken and then been silent for `quiet_ms`; unset: as the script says."""

    quiet_ms: Annotated[int, Field(ge=20, le=60_000)] | None = None
    timeout_ms: Milliseconds | None = None


class Wait(_Part):
    """Wait until the agent has finished."""

    wait: Waiting = Waiting()

    @field_validator("wait", mode="before")
    @classmethod
    def _nothing_set(cls, value: Any) -> Any:
        return {} if value is None else value


class Silence(_Part):
    """Say nothing for this many milliseconds."""

    silence: Milliseconds


class Dtmf(_Part):
    """Press keys."""

    dtmf: Annotated[str, Field(pattern=r"^[0-9*#A-D]{1,64}$")]


class HangUp(_Part):
    """Hang up."""

    hang_up: Literal[True] | None = None


_STEPS: dict[str, type[_Part]] = {
    "say": Say,
    "wav": Wav,
    "wait": Wait,
    "interrupt": Interrupt,
    "noise": Noise,
    "silence": Silence,
    "dtmf": Dtmf,
    "hang_up": HangUp,
}


def _kind(step: Any) -> str | None:
    if isinstance(step, BaseModel):
        return next((kind for kind, model in _STEPS.items() if isinstance(step, model)), None)
    kinds = [kind for kind in _STEPS if isinstance(step, dict) and kind in step]
    return kinds[0] if len(kinds) == 1 else None


Step = Annotated[
    Annotated[Say, Tag("say")]
    | Annotated[Wav, Tag("wav")]
    | Annotated[Wait, Tag("wait")]
    | Annotated[Interrupt, Tag("interrupt")]
    | Annotated[Noise, Tag("noise")]
    | Annotated[Silence, Tag("silence")]
    | Annotated[Dtmf, Tag("dtmf")]
    | Annotated[HangUp, Tag("hang_up")],
    Discriminator(
        _kind,
        custom_error_type="step",
        custom_error_message=f"a step needs exactly one of {', '.join(_STEPS)}",
    ),
]


class Script(_Part):
    """One caller."""

    name: str = ""  # default: the file's name
    voice: str = DEFAULT  # recorded, such as af_heart, or espeak-ng's name for one
    speed: Speed = 1.0  # 1.0 is the voice's usual pace; recordings have no other
    level_dbfs: Level = -22.0  # RMS of the caller's active speech
    noise_floor_dbfs: Level = -60.0  # RMS of the noise that is always on the line
    quiet_ms: Annotated[int, Field(ge=20, le=60_000)] = 700  # after this silence the agent has finished
    timeout_ms: Milliseconds = 20_000  # the longest wait for the agent
    longest_call_s: Annotated[int, Field(ge=1, le=3600)] = 300
    repeat: Annotated[int, Field(ge=1, le=1000)] = 1  # how often the steps are run in one call
    expect: Literal["hung_up_by_agent", "hung_up_by_caller", "transferred"] | None = None
    steps: Annotated[list[Step], Field(min_length=1, max_length=1000)]

    @field_validator("steps", mode="before")
    @classmethod
    def _bare_words(cls, steps: Any) -> Any:
        """`- wait` and `- hang_up` are short for `- wait:` and `- hang_up:`."""
        if not isinstance(steps, list):
            return steps
        return [{step: None} if step in ("wait", "hang_up") else step for step in steps]


def load_script(path: Path | str) -> Script:
    """Read and check a script; paths of WAV files come back absolute.

    Raises ScriptError, naming the file and in it the step and the key.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LONGEST_FILE:
            raise ScriptError(f"{path}: larger than {LONGEST_FILE} bytes")
        data = strict_yaml.load(path.read_text("utf-8"))
    except OSError as error:
        raise ScriptError(f"{path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path}: no YAML: {error}") from error
    if not isinstance(data, dict):
        raise ScriptError(f"{path}: a script is a mapping with the key `steps`")
    try:
        script = Script.model_validate({"name": path.stem} | data)
    except ValidationError as error:
        raise ScriptError("\n".join(_explain(path, item) for item in error.errors())) from error
    return script.model_copy(
        update={"steps": [_locate(path, number, step) for number, step in enumerate(script.steps, 1)]}
    )


def _explain(path: Path, error: Any) -> str:
    place, keys = "", list(error["loc"])
    if len(keys) > 1 and keys[0] == "steps":
        place = f" step {keys[1] + 1}"
        keys = keys[3:]  # steps, index, kind
    where = f" key {'.'.join(map(str, keys))}" if keys else ""
    given = "" if error["type"] in ("missing", "step") or not keys else f" (given: {error['input']!r})"
    message = "unknown" if error["type"] == "extra_forbidden" else error["msg"].removeprefix("Value error, ")
    return f"{path}:{place}{where}: {message}{given}"


def _locate(path: Path, number: int, step: Step) -> Step:
    """Make the step's WAV path absolute and check that the file exists."""
    sound = step.interrupt if isinstance(step, Interrupt) else step
    if not isinstance(sound, Wav | Interruption) or sound.wav is None:
        return step
    wav = (path.parent / sound.wav).resolve()
    if not wav.is_file():
        raise ScriptError(f"{path}: step {number} key wav: no such file: {wav}")
    placed = sound.model_copy(update={"wav": wav})
    return Interrupt(interrupt=placed) if isinstance(placed, Interruption) else placed
