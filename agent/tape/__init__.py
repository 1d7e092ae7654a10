"""A call's tape: its format, how it is written, read and replayed."""
