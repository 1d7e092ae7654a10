"""What a group of settings is, and the kinds of values in it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Milliseconds = Annotated[int, Field(ge=0, le=3_600_000)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Group(BaseModel):
    """A group of settings: unknown keys are errors, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
