"""The engine's settings; `voxline.yaml` documents each."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from config.group import Group, Milliseconds, Seconds


class EmbeddedSettings(Group):
    """pocketsphinx or Moonshine, and espeak-ng."""

    recognizer: Literal["auto", "moonshine", "pocketsphinx"] = "auto"
    decoders: int = Field(default=4, ge=1, le=64)


class SimulatedSettings(Group):
    """An engine of fixed delays, for load tests and comparisons."""

    first_word_ms: Milliseconds = 100
    word_ms: Milliseconds = 20
    words: int = Field(default=16, ge=0, le=1000)
    words_per_sentence: int = Field(default=8, ge=1, le=1000)
    first_audio_ms: Milliseconds = 100
    audio_ms_per_word: Annotated[Milliseconds, Field(ge=1)] = 300
    delivery_speed: float = Field(default=10, gt=0, le=10_000)
    greeting: bool = True


Device = Literal["cuda", "cpu"]


class VoxtralSettings(Group):
    """Voxtral Mini hears and thinks."""

    model: str = "mistralai/Voxtral-Mini-3B-2507"
    device: Device = "cuda"
    slots: int = Field(default=64, ge=2, le=1024)
    context: int = Field(default=4096, ge=512, le=32_768)
    waiting: int = Field(default=64, ge=1, le=4096)
    max_tokens: int = Field(default=250, ge=1, le=4096)
    temperature: float = Field(default=0.3, ge=0, le=2)
    top_p: float = Field(default=0.9, gt=0, le=1)
    seed: int | None = None
    unfinished: bool = True
    transcripts: Literal["voxtral", "realtime", "off"] = "voxtral"


class RealtimeSettings(Group):
    """Voxtral Realtime transcribes while the caller speaks."""

    model: str = "mistralai/Voxtral-Mini-4B-Realtime-2602"
    device: Device = "cuda"
    streams: int = Field(default=64, ge=1, le=1024)
    delay_ms: Annotated[Milliseconds, Field(ge=80, le=2400)] = 480


class KokoroSettings(Group):
    """Kokoro speaks."""

    model: str = "hexgrad/Kokoro-82M"
    device: Device = "cuda"
    voice: str = "af_heart"
    batch: int = Field(default=8, ge=1, le=64)
    waiting: int = Field(default=256, ge=1, le=4096)


class OpenAISettings(Group):
    """A server that speaks OpenAI's HTTP API: vLLM on this host, or a hosted one."""

    url: str = Field(default="http://127.0.0.1:8000/v1", pattern=r"^https?://[^?#\s]+$")
    api_key: SecretStr = SecretStr("")
    chat_model: str = "mistralai/Voxtral-Mini-3B-2507"
    audio: bool = True
    transcription_model: str = ""
    speech_model: str = "hexgrad/Kokoro-82M"
    voice: str = "alloy"
    max_tokens: int = Field(default=250, ge=1, le=4096)
    temperature: float = Field(default=0.3, ge=0, le=2)
    top_p: float = Field(default=0.9, gt=0, le=1)
    connect_s: Annotated[Seconds, Field(gt=0)] = 2
    read_s: Annotated[Seconds, Field(gt=0)] = 10
    retries: int = Field(default=1, ge=0, le=10)
    connections: int = Field(default=200, ge=1, le=10_000)


class CascadeSettings(Group):
    """A recognizer, a chat model and a synthesizer, one after another."""

    audio: bool = False
    recognizer: Literal["realtime", "openai", "embedded"] = "realtime"
    synthesizer: Literal["kokoro", "openai", "embedded"] = "kokoro"


class FallbackSettings(Group):
    """What callers hear when a model is slow, or lost."""

    filler_ms: Milliseconds = 2500
    filler: str = "One moment, please."
    apology: str = "Sorry, I have a technical problem."
    put_through: str = "I am putting you through."
    lost_s: Annotated[Seconds, Field(gt=0)] = 10


class EngineSettings(Group):
    """What hears, thinks and speaks."""

    profile: Literal["embedded", "gpu", "cascade", "openai", "simulated"] = "embedded"
    process: bool = True
    embedded: EmbeddedSettings = EmbeddedSettings()
    voxtral: VoxtralSettings = VoxtralSettings()
    kokoro: KokoroSettings = KokoroSettings()
    realtime: RealtimeSettings = RealtimeSettings()
    openai: OpenAISettings = OpenAISettings()
    cascade: CascadeSettings = CascadeSettings()
    fallback: FallbackSettings = FallbackSettings()
    simulated: SimulatedSettings = SimulatedSettings()
