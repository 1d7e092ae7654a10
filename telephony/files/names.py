"""Names of files about calls: the time at which a call began, and what tells it from the others."""

import time

STAMP = "%Y%m%d-%H%M%S"  # UTC, so that the order of names is that of age


def stamp(unix_s: float | None = None) -> str:
    """How a name begins; now, unless a time is given."""
    return time.strftime(STAMP, time.gmtime(unix_s))
