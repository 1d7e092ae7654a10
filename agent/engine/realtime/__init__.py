"""Voxtral Realtime: transcripts while the caller speaks."""
