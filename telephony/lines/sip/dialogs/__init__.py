"""Dialogs and what goes on in them: calls in and out, offers anew, transfers, registrations. Sans-I/O."""
