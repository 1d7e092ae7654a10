"""Tapes as files: written off the audio's way, compressed, bounded, replayed."""
