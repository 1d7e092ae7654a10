"""The root of voxline's errors, and the operator's own."""


class VoxlineError(Exception):
    """Everything voxline raises on purpose; the message is meant to be read by a person."""


class SettingsError(VoxlineError):
    """A setting or an agent's file is wrong; the message names the key, the value and what is allowed."""


class TapeError(VoxlineError):
    """A file that is no tape, or one that lacks what is wanted of it."""
