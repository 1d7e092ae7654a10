"""Dialogs and what happens in them: calls in and out, re-INVITEs, transfers, registrations. Sans-I/O."""
