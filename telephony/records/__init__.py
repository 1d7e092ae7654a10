"""Calls on record: one row a call, in SQLite or PostgreSQL, written off the audio path."""
