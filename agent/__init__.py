"""The conversation: it knows speech and models, never carriers."""
