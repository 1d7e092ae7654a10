"""Settings, agents and logging, used by both halves."""

from config.privacy import silence

silence()
