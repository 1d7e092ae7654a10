"""Calls while they are on: what operators see of them, and what they do."""
