"""What waits to be written, of all files of a kind."""

import threading


class Backlog:
    """Its size, and the lock that guards it."""

    def __init__(self, most: int) -> None:
        """`most` is how many bytes of all files together may wait."""
        self.lock = threading.Lock()
        self.bytes = 0
        self.most = most

    def full(self, size: int) -> bool:
        """Whether so many bytes more are too many."""
        return self.bytes + size > self.most
