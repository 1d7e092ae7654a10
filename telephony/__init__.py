"""The line: it knows carriers and audio formats, never models."""

import config  # noqa: F401 (for config.privacy, before anything else is imported)
