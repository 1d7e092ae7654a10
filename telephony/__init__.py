"""The line: it knows carriers and audio formats, never models."""
