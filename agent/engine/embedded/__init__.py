"""The embedded engine: pocketsphinx, scripted dialogues, espeak-ng."""
