"""The settings of webhooks: what other programs are asked before a call, and told after it."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from config.group import Group

MAX_URL = 2000
MIN_SECRET = 16  # characters


class HooksSettings(Group):
    """Webhooks. The addresses may hold passwords, so they are secrets themselves."""

    before_call: SecretStr = SecretStr("")
    before_call_ms: Annotated[int, Field(ge=50, le=5000)] = 800
    after_call: SecretStr = SecretStr("")
    after_call_days: Annotated[float, Field(gt=0, le=30)] = 3
    secret: SecretStr = SecretStr("")

    @property
    def asks_before(self) -> bool:
        """Whether somebody is asked before a call."""
        return bool(self.before_call.get_secret_value())

    @property
    def tells_after(self) -> bool:
        """Whether somebody is told after a call."""
        return bool(self.after_call.get_secret_value())

    @field_validator("before_call", "after_call")
    @classmethod
    def _is_url(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and not _is_web_address(text):
            raise ValueError("https://host/path is wanted, or http:// inside of your own network")
        return value

    @model_validator(mode="after")
    def _are_signed(self) -> Self:
        if (self.asks_before or self.tells_after) and len(self.secret.get_secret_value()) < MIN_SECRET:
            raise ValueError(f"secret must have {MIN_SECRET} characters or more: by it receivers know who is asking")
        return self


def _is_web_address(text: str) -> bool:
    try:
        url = urlsplit(text)
        return (
            url.scheme in ("http", "https")
            and bool(url.hostname)
            and url.port != 0
            and not url.fragment
            and len(text) <= MAX_URL
            and text.isascii()
            and text.isprintable()
            and " " not in text
        )
    except ValueError:
        return False
