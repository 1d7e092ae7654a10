"""The other end of the line: simulated callers."""
