"""The settings of traces; `voxline.yaml` documents each."""

from pydantic import Field, SecretStr, field_validator

from config.group import Group


class TracesSettings(Group):
    """Traces for OpenTelemetry."""

    url: str = Field(default="", pattern=r"^(https?://[^?#\s]+)?$")
    header: SecretStr = SecretStr("")

    @field_validator("header")
    @classmethod
    def _header(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and not (":" in text and text.isprintable() and text.isascii()):
            raise ValueError("a header is wanted: its name, a colon, its value")
        return value
