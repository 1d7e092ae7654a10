"""Settings, agents and logging, read by both halves."""
