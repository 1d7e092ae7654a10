"""The ground both halves stand on: audio formats of the telephone, sample rates, WAV files."""
