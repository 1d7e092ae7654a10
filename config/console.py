"""The settings of the console, and of who may sign in."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from config.group import Group, Seconds
from config.password_hash import PasswordHash


class ConsoleUser(Group):
    """Somebody who may sign in."""

    password: SecretStr
    role: Literal["viewer", "operator", "admin"] = "viewer"

    @field_validator("password")
    @classmethod
    def _is_a_hash(cls, value: SecretStr) -> SecretStr:
        PasswordHash.parse(value.get_secret_value())
        return value


class ConsoleSettings(Group):
    """Pages for people, at /console."""

    enabled: bool = True
    tls_proxy: bool = False
    users: dict[Annotated[str, Field(pattern=r"^[\w.@-]{1,64}$")], ConsoleUser] = Field(default_factory=dict)
    idle_s: Annotated[Seconds, Field(ge=60)] = 3600
    session_s: Annotated[Seconds, Field(ge=60)] = 43_200
