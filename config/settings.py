"""All settings: `config/voxline.yaml` documents each; files, the environment, credentials and --set override it.

An environment variable is VOXLINE_ and the key in capitals, with two underscores between levels:
VOXLINE_SERVER__PORT=9000. The secret of the Twilio account is also read from TWILIO_AUTH_TOKEN, and some switches by
the names that other agents have for them (streaming.py).
"""

import os
from collections.abc import Sequence
from functools import reduce
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as NotJson

from config import strict_yaml
from config.browser import BrowserSettings
from config.console import ConsoleSettings
from config.engine import EngineSettings
from config.exceptions import SettingsError
from config.group import Group, Milliseconds, Probability, Seconds
from config.hooks import HooksSettings
from config.parties import Numbers
from config.sip import SipSettings
from config.sources import SettingsSource, describe, merged, nested
from config.stream import StreamSettings
from config.streaming import RecognitionSettings, TargetsSettings, aliases
from config.traces import TracesSettings

HERE = Path(__file__).parent
DEFAULT_FILE = HERE / "voxline.yaml"
ENV_PREFIX = "VOXLINE_"
# Read by the command line; not settings of the server.
OTHER_VARIABLES = {"VOXLINE_CONFIG"}


class ServerSettings(Group):
    """Where voxline listens and how it ends."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    public_url: str = Field(default="", pattern=r"^(https?://[^?#\s]+)?$")
    metrics_token: SecretStr = SecretStr("")
    drain_s: Seconds = 60
    drain_goodbye_s: Seconds = 15
    close_s: Annotated[Seconds, Field(ge=1)] = 15
    data: Path = Path("out")


class LogSettings(Group):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"
    words: bool = False
    numbers: Numbers = "masked"


class CallSettings(Group):
    """Limits that hold for every call."""

    agent: str = "front_desk"
    capacity: int = Field(default=100, ge=1, le=10_000)
    max_s: Seconds = 1800
    key_tones: Literal["auto", "always", "never"] = "auto"
    busy_message: str = "All our lines are busy at the moment. Please call again in a few minutes. Goodbye."
    failed_message: str = "Sorry, something went wrong on our side. Please call again. Goodbye."


class TwilioSettings(StreamSettings):
    """The Twilio line."""

    auth_token: SecretStr = SecretStr("")
    shared_keys: dict[str, Annotated[SecretStr, Field(min_length=16)]] = Field(default_factory=dict)


class PlayoutSettings(Group):
    """How audio is handed to the carrier."""

    lead_ms: Annotated[Milliseconds, Field(ge=40)] = 240
    block_ms: Annotated[Milliseconds, Field(ge=20)] = 80
    buffer_ms: Annotated[Milliseconds, Field(ge=1000)] = 6000
    mark_grace_ms: Milliseconds = 3000

    @model_validator(mode="after")
    def _block_fits(self) -> Self:
        if 2 * self.block_ms > self.lead_ms:
            raise ValueError("lead_ms must be at least twice block_ms, or the audio would run dry between blocks")
        return self


class TurnSettings(Group):
    """When the caller has begun and ended a turn."""

    onset_probability: Probability = 0.5
    pause_probability: Probability = 0.2
    offset_probability: Probability = 0.35
    onset_ms: Milliseconds = 0
    endpoint_ms: Annotated[Milliseconds, Field(ge=50)] = 400
    endpoint_min_ms: Annotated[Milliseconds, Field(ge=50)] = 380
    endpoint_max_ms: Annotated[Milliseconds, Field(ge=50)] = 1000
    endpoint_complete_ms: Annotated[Milliseconds, Field(ge=50)] = 260
    endpoint_open_ms: Annotated[Milliseconds, Field(ge=50)] = 700
    adapt_question: bool = True
    adapt_pauses: bool = True
    adapt_words: bool = True
    adapt_reply: bool = True
    adapt_transcript: bool = True
    adapt_loudness: bool = True
    eager_ms: Milliseconds = 160
    eager_attempts: int = Field(default=3, ge=0, le=20)
    resume: bool = True
    interrupt_ms: Annotated[Milliseconds, Field(ge=100)] = 900
    background_db: Annotated[float, Field(ge=0, le=60)] = 6
    min_speech_ms: Milliseconds = 96
    ignore_music: bool = True
    preroll_ms: Milliseconds = 320
    max_utterance_ms: Annotated[Milliseconds, Field(ge=1000)] = 30_000
    dtmf_timeout_ms: Milliseconds = 2000
    reprompt_ms: Annotated[Milliseconds, Field(ge=1000)] = 8000
    max_reprompts: int = Field(default=2, ge=0, le=10)
    vad_reset_ms: Milliseconds = 4000

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.endpoint_min_ms > self.endpoint_max_ms:
            raise ValueError("endpoint_min_ms must not be above endpoint_max_ms")
        return self


class ReplySettings(Group):
    """How a reply becomes speech, and its bounds."""

    streaming: bool = True
    speech_streaming: bool = True
    words_trigger_threshold: int = Field(default=2, ge=1, le=50)
    first_chunk_ms: Milliseconds = 120
    min_sentence_chars: int = Field(default=20, ge=1, le=1000)
    concurrent_tts_streams: int = Field(default=3, ge=1, le=16)
    max_chars: int = Field(default=4000, ge=100)
    timeout_s: Annotated[Seconds, Field(gt=0)] = 20
    tool_timeout_s: Annotated[Seconds, Field(gt=0)] = 3
    max_history_turns: int = Field(default=60, ge=2)


class TapeSettings(Group):
    """Tapes of calls, which replay to the same decisions."""

    mode: Literal["off", "metadata", "full"] = "off"
    max_mb: Annotated[float, Field(gt=0)] = 1000
    keep_days: Annotated[float, Field(ge=0)] = 0


class RecordingSettings(Group):
    """Recordings of calls, for people to listen to."""

    mode: Literal["off", "all", "asked"] = "off"
    format: Literal["opus", "wav"] = "opus"
    keep_days: Annotated[float, Field(ge=0)] = 30
    keep_mb: Annotated[float, Field(gt=0)] = 10_000


class RecordsSettings(Group):
    """Calls on record."""

    mode: Literal["on", "off"] = "on"
    url: SecretStr = SecretStr("")
    keep_days: int = Field(default=0, ge=0, le=36_500)


def _number(pattern: object) -> object:
    if isinstance(pattern, int):
        raise ValueError('put the number in quotes, such as "+31201234567": without them YAML reads a figure')
    return pattern


Pattern = Annotated[str, BeforeValidator(_number), Field(pattern=r"^(?:[^\s@<>\"*;]{1,128}\*?|\*)$")]


class Settings(BaseSettings):
    """Everything there is to set."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
    )

    server: ServerSettings = ServerSettings()
    log: LogSettings = LogSettings()
    call: CallSettings = CallSettings()
    twilio: TwilioSettings = TwilioSettings()
    sip: SipSettings = SipSettings()
    browser: BrowserSettings = BrowserSettings()
    playout: PlayoutSettings = PlayoutSettings()
    recognition: RecognitionSettings = RecognitionSettings()
    turn: TurnSettings = TurnSettings()
    reply: ReplySettings = ReplySettings()
    targets: TargetsSettings = TargetsSettings()
    tape: TapeSettings = TapeSettings()
    recording: RecordingSettings = RecordingSettings()
    records: RecordsSettings = RecordsSettings()
    console: ConsoleSettings = ConsoleSettings()
    traces: TracesSettings = TracesSettings()
    hooks: HooksSettings = HooksSettings()
    engine: EngineSettings = EngineSettings()
    agents: Path | None = None
    routes: dict[Pattern, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`load_settings` alone joins file, environment and command line."""
        return (init_settings,)

    @field_validator("agents", mode="before")
    @classmethod
    def _empty_is_shipped(cls, value: object) -> object:
        return None if value == "" else value

    @property
    def agents_folder(self) -> Path:
        """Where the agents' files are."""
        return self.agents or HERE / "agents"

    @property
    def secured(self) -> bool:
        """Whether webhooks must prove that they come from Twilio."""
        return bool(self.twilio.auth_token.get_secret_value() or self.twilio.shared_keys)

    @property
    def calls_from_pages(self) -> bool:
        """Whether web pages may call: ours here and for people who sign in, and those of browser.origins."""
        people = self.console.enabled and self.console.tls_proxy
        return self.browser.enabled and (not self.secured or people or bool(self.browser.origins))

    @model_validator(mode="after")
    def _closed_by_default(self) -> Self:
        if not self.secured and not is_loopback(self.server.host):
            raise ValueError(
                f"server.host: without twilio.auth_token voxline listens on loopback only, not {self.server.host!r}; "
                "set TWILIO_AUTH_TOKEN, or server.host: 127.0.0.1"
            )
        if self.secured and not self.server.public_url:
            raise ValueError(
                "server.public_url: with twilio.auth_token or shared_keys, signatures are checked against it; "
                "set it to what Twilio calls, such as https://voice.example.com"
            )
        return self

    @model_validator(mode="after")
    def _has_an_outbox(self) -> Self:
        if self.hooks.tells_after and self.records.mode == "off":
            raise ValueError("hooks.after_call: it waits with the calls on record; set records.mode: on")
        return self

    @model_validator(mode="after")
    def _sip_closed_by_default(self) -> Self:
        sip = self.sip
        if sip.enabled and not is_loopback(sip.host) and not (sip.trusted or sip.users or sip.trunks):
            raise ValueError(
                f"sip.host: without sip.trusted, sip.users or sip.trunks it is to be on loopback, not {sip.host!r}; "
                "set sip.trusted to the networks of your trunk or PBX, or sip.users to names and passwords"
            )
        if sip.enabled and ip_address(sip.host).is_unspecified and not sip.advertised:
            raise ValueError(f"sip.advertised: {sip.host} is no address that callers can send to; set the one they can")
        return self


def is_loopback(host: str) -> bool:
    """Whether a bind address can be reached only from this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(file: Path | None = None, overrides: dict[str, Any] | None = None) -> Settings:
    """The settings from all of their sources. Raises SettingsError naming the key, the value and what is allowed."""
    return from_sources(read_sources(file, overrides))


def read_sources(file: Path | None = None, overrides: dict[str, Any] | None = None) -> list[SettingsSource]:
    """Where settings come from: defaults, then `file` (else the shipped YAML), the environment, systemd's credentials,
    and last `overrides` (dotted keys, such as {"server.port": 0}). Raises SettingsError."""
    path = file or DEFAULT_FILE
    _refuse_unknown_variables()
    sources = [SettingsSource(str(path), _read_yaml(path))]
    if token := os.environ.get("TWILIO_AUTH_TOKEN"):
        sources.append(SettingsSource("TWILIO_AUTH_TOKEN", {"twilio": {"auth_token": token}}))
    sources += aliases(os.environ)
    sources.append(_environment())
    sources += credentials()
    return [*sources, SettingsSource("--set", nested(overrides or {}))]


def from_sources(sources: Sequence[SettingsSource]) -> Settings:
    """Settings from several sources, each overriding those before it; SettingsError names the source and the key."""
    try:
        return Settings(**reduce(merged, (source.values for source in sources)))
    except ValidationError as error:
        raise SettingsError(describe(error, Settings, sources)) from None


def _environment() -> SettingsSource:
    try:
        return SettingsSource("the environment", EnvSettingsSource(Settings)(), ENV_PREFIX, "__")
    except NotJson as error:  # it names the group but no value
        group = str(error).split('"')[1].upper()
        what = f"{ENV_PREFIX}{group}__...: lists and mappings are written as JSON: {error.__cause__}"
        raise SettingsError(f"the environment: {what}") from None


def credentials() -> list[SettingsSource]:
    """Secrets that systemd hands over as files (LoadCredential=), each named as the setting, such as twilio.auth_token,
    with or without the unit's `voxline_` before it."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return []
    try:
        files = sorted(path for path in Path(folder).iterdir() if "." in path.name.strip("."))
        values = {path.name.removeprefix("voxline_"): path.read_text(encoding="utf-8").strip() for path in files}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the credentials in {folder}: {error}") from None
    return [SettingsSource(f"the credentials in {folder}", nested(values), secret=True)]


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = strict_yaml.load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read the settings {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not valid YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: expected groups of settings, got {type(values).__name__}")
    return values


def _refuse_unknown_variables() -> None:
    for name in os.environ:
        if not name.startswith(ENV_PREFIX) or name in OTHER_VARIABLES:
            continue
        group = name.removeprefix(ENV_PREFIX).split("__")[0].lower()
        if group not in Settings.model_fields:
            known = ", ".join(Settings.model_fields)
            raise SettingsError(f"{name}: there is no setting {group!r}; the groups are {known}")
