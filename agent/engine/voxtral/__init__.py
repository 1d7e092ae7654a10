"""Voxtral Mini: replies straight from the caller's audio."""
