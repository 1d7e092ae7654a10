"""The settings of the browser line: phones in web pages."""

import re
from typing import Annotated

from pydantic import Field, field_validator

from config.group import Group, Seconds

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](:[0-9]{1,5})?")


class BrowserSettings(Group):
    """Phones in web pages."""

    enabled: bool = True
    origins: tuple[str, ...] = ()
    resume_s: Annotated[Seconds, Field(le=60)] = 5
    token_lifetime_s: Annotated[Seconds, Field(gt=0)] = 60

    @field_validator("origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is no origin, which is a scheme, a name in lower case and perhaps a port, such as "
                    "https://www.example.com"
                )
        return value
