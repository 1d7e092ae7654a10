"""Tapes as files: written out of the audio's way, compressed, bounded, replayed."""
