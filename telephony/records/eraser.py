"""Deletes calls with all that is theirs: tape and recording, then words and row.

The row goes last: if a file cannot be deleted, the call is still there to be deleted again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from config.exceptions import VoxlineError
from telephony.recordings.removal import remove_recording
from telephony.records import call_id
from telephony.records.database import StoreError
from telephony.records.store import Row, Store
from telephony.tapes.removal import remove_tape

Erase = Callable[[str], Awaitable[object]]


class EraseError(VoxlineError):
    """A call cannot be deleted now, or not here; the message says why."""


class Eraser:
    """Of one server. `erase_tape` and `erase_recording` delete what has this name; they raise OSError or TimeoutError,
    or ValueError where it is none of a tape or a recording."""

    def __init__(
        self, data: Path, host: str, erase_tape: Erase | None = None, erase_recording: Erase | None = None
    ) -> None:
        self._host = host
        self._erase_tape = erase_tape or _from_folder(remove_tape, data / "tapes")
        self._erase_recording = erase_recording or _from_folder(remove_recording, data / "recordings")

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
                    await self._erase_recording(row["recording"])
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error) or "it took too long"
                raise StoreError(f"call {call_id.show(row['id'])}: its files cannot be deleted: {reason}") from None
        await store.delete([row["id"] for row in rows])


def _from_folder(remove: Callable[[Path, str], object], folder: Path) -> Erase:
    async def erase(name: str) -> None:
        await asyncio.to_thread(remove, folder, name)

    return erase
