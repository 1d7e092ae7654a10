"""Deletes calls with all that is theirs: tape and recording, then words and row.

The row goes last: if a file cannot be deleted, the call is still there to be deleted again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from config.exceptions import VoxlineError
from telephony.records import call_id
from telephony.records.database import StoreError
from telephony.records.store import Row, Store
from telephony.tapes.removal import remove_tape

EraseTape = Callable[[str], Awaitable[None]]


class EraseError(VoxlineError):
    """A call cannot be deleted now, or not here; the message says why."""


class Eraser:
    """Of one server. `erase_tape` deletes the tape of this name; it raises OSError or TimeoutError."""

    def __init__(self, data: Path, host: str, erase_tape: EraseTape | None = None) -> None:
        self._data = data
        self._host = host
        self._erase_tape = erase_tape or self._remove_tape

    def check(self, rows: Sequence[Row]) -> None:
        """Raises EraseError if one of these calls is on, or if its files are another server's."""
        for row in rows:
            if row["status"] == "active":
                raise EraseError(f"call {call_id.show(row['id'])} is on")
            if row["host"] != self._host and (row["tape"] or row["recording"]):
                raise EraseError(f"call {call_id.show(row['id'])} has files on another server, {row['host']}")

    async def erase(self, store: Store, rows: Sequence[Row]) -> None:
        """Delete these calls; afterwards `store.forget` cleans the file. Raises StoreError."""
        for row in rows:
            try:
                if row["tape"]:
                    await self._erase_tape(row["tape"])
                if row["recording"]:
                    await asyncio.to_thread(self._remove_recording, row["recording"])
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error) or "it took too long"
                raise StoreError(f"call {call_id.show(row['id'])}: its files cannot be deleted: {reason}") from None
        await store.delete([row["id"] for row in rows])

    async def _remove_tape(self, name: str) -> None:
        await asyncio.to_thread(remove_tape, self._data / "tapes", name)

    def _remove_recording(self, name: str) -> None:
        """Raises OSError, or ValueError for a path that leads out of the data folder."""
        path = (self._data / name).resolve()
        if not path.is_relative_to(self._data.resolve()):
            raise ValueError("the recording's path leads out of the data folder")
        path.unlink(missing_ok=True)
