"""Benchmarks."""

import config  # noqa: F401 (for config.privacy, before anything else is imported)
