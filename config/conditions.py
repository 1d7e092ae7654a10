"""When something in a dialogue holds: at which hours, with which slots, for which callers."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from config.hours import Hours


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_Values = Annotated[tuple[str, ...], BeforeValidator(_listed, json_schema_input_type=str | list[str])]


class When(BaseModel):
    """Holds if all of its keys do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    open: bool | None = None  # whether it is within the agent's `hours`
    hours: Hours = {}  # hours of its own, by weekday, such as mon-fri: "20:00-06:00"
    slots: dict[str, _Values] = {}  # slots that have one of these values
    caller: bool | None = None  # whether the caller's number is known

    @model_validator(mode="after")
    def _something(self) -> "When":
        if not self.model_fields_set:
            raise ValueError("a condition needs one of: open, hours, slots, caller")
        return self
