"""Settings that may change while the server runs: for calls that begin after it, those that are on keep theirs.

What is to survive a restart is kept in server.data, and then overrides the file, the environment and --set.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from config import private
from config.exceptions import SettingsError
from config.settings import Settings, from_sources
from config.sources import SettingsSource, nested

CHANGEABLE = ("recognition", "turn", "reply", "targets")  # groups
FILE = "runtime-settings.json"  # in server.data: by key what was changed for good
MAX_CHANGES = 50  # in one request

logger = logging.getLogger("voxline.settings")


class RuntimeSettings:
    """Of one server. `use` is given the new settings."""

    def __init__(self, settings: Settings, use: Callable[[Settings], None]) -> None:
        """`use` is called at once if something was kept. Raises SettingsError if that does not fit any more."""
        self.begun_with = self.now = settings
        self._use = use
        self._path = settings.server.data / FILE
        self.kept = _read(self._path)
        self.changes: dict[str, Any] = {}  # by key, all that differ from those it was started with
        if self.kept:
            self._change(self.kept, str(self._path))
            logger.info("settings that were changed while it ran", extra={"settings": self.kept})

    def change(self, values: dict[str, Any], who: str, *, keep: bool = False) -> None:
        """Change settings, by their dotted keys. Raises SettingsError, and then nothing has changed; OSError where they
        cannot be kept, and then they hold until the server ends."""
        self._change(values, "the request")
        logger.info("settings changed", extra={"who": who, "settings": values, "kept": keep})
        if keep:
            self.kept |= values
            private.make_folder(self._path.parent)
            private.write_bytes(self._path, msgspec.json.encode(self.kept))

    def reset(self, who: str) -> None:
        """Back to the settings that the server was started with; what was kept is forgotten. Raises OSError."""
        self.now, self.changes, self.kept = self.begun_with, {}, {}
        self._use(self.now)
        logger.info("settings changed back", extra={"who": who})
        self._path.unlink(missing_ok=True)

    def _change(self, values: dict[str, Any], source: str) -> None:
        if len(values) > MAX_CHANGES:
            raise SettingsError(f"{source}: at most {MAX_CHANGES} settings at once")
        for key in values:
            if key.partition(".")[0] not in CHANGEABLE or "." not in key:
                groups = ", ".join(CHANGEABLE)
                raise SettingsError(
                    f"{source}: {key[:80]!r} cannot change while the server runs; the groups {groups} can"
                )
        now = {name: getattr(self.now, name).model_dump() for name in CHANGEABLE}
        rest = {name: getattr(self.now, name) for name in Settings.model_fields if name not in CHANGEABLE}
        changed = from_sources([SettingsSource("now", now | rest), SettingsSource(source, nested(values))])
        self.now = changed
        self.changes |= values
        self._use(changed)


def _read(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (FileNotFoundError, NotADirectoryError):  # whoever writes there says what is wrong with the folder
        return {}
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(f"cannot read {path}: {error}") from None
