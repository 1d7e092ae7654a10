"""An agent for the tests."""

from config.agent import AgentSettings

DESK = AgentSettings.model_validate(
    {
        "name": "desk",
        "instructions": "You are the front desk of a dentist. You know the hours: nine to five.",
        "transfers": {"reception": "+15550100199"},
        "press_keys": True,
        "tools": {
            "book": {"file": "b.jsonl", "description": "Book an appointment.", "parameters": {"day": "the day"}},
        },
    }
)
INDIAN = AgentSettings(name="indian", language="hi", instructions="You answer in Hindi.")
AGENTS = {"desk": DESK, "indian": INDIAN}
