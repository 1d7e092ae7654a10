"""The conversation: it knows speech and models, never carriers."""

import config  # noqa: F401 (for config.privacy, before anything else is imported)
