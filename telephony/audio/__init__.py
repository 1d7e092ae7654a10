"""Audio formats of the telephone: G.711, WAV files, sample rates."""
