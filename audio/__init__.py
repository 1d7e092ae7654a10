"""What both halves build on: audio formats of the telephone, sample rates, WAV files."""
