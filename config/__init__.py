"""Settings, agents and logging, read by both halves."""

from config.privacy import silence

silence()
