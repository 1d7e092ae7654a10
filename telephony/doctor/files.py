"""The folders for tapes, recordings and bookings, the free space on its disk, and the limit of open files."""

import os
import resource
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from config.settings import Settings
from telephony.doctor.finding import Finding, Level

LEAST_MB = 500  # free, for whatever is written besides tapes and recordings
MOST_LOOKED_AT = 10_000  # files whose modes are checked
OTHER_FILES = 200  # libraries, logs, models, HTTP


def check(settings: Settings) -> Iterator[Finding]:
    """Check all of it."""
    folder = settings.server.data.absolute()
    above = next(path for path in (folder, *folder.parents) if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        advice = f"give the user that voxline runs as the folder {folder}, or set server.data to another one"
        yield _found("problem", f"server.data: {above} is not a writable folder", advice)
    else:
        made = "" if above == folder else ", created when something is written"
        yield _found("ok", f"server.data: {folder}{made}")
        yield _room(settings, above)
        if above == folder:
            yield _readers(folder)
            yield from _kept(settings, folder)
    yield _open_files(settings)


def _readers(folder: Path) -> Finding:
    """New files are readable by the server's user alone; older ones keep their mode."""
    opened = 0
    with suppress(OSError):  # tapes come and go while the server runs
        if folder.stat().st_mode & stat.S_IXOTH:
            files = (path for path in islice(folder.rglob("*"), MOST_LOOKED_AT) if path.is_file())
            opened = sum(bool(path.stat().st_mode & stat.S_IROTH) for path in files)
    if not opened:
        return _found("ok", "no other user can read what calls have left there")
    text = f"any user of this machine can read {opened} files about calls in {folder}"
    return _found("warning", text, f"chmod -R go= {folder}")


def _kept(settings: Settings, data: Path) -> Iterator[Finding]:
    """Folders that are there already, and may be elsewhere."""
    for name in _wanted_mb(settings):
        folder = data / name
        if os.path.lexists(folder) and not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
            advice = f"give the user that voxline runs as the folder, or move {folder} away"
            yield _found("warning", f"no {name} are kept: {folder} is not a writable folder", advice)
        elif _is_elsewhere(folder, data):
            yield _enough(folder, _wanted_mb(settings)[name], f"of {folder}")


def _wanted_mb(settings: Settings) -> dict[str, float]:
    """What may fill up, by folder in server.data."""
    tape, recording = settings.tape, settings.recording
    wanted = {"tapes": tape.max_mb} if tape.mode != "off" else {}
    return wanted | ({"recordings": recording.keep_mb} if recording.mode != "off" else {})


def _is_elsewhere(folder: Path, data: Path) -> bool:
    """Whether it is on another disk than the data."""
    return folder.is_dir() and folder.stat().st_dev != data.stat().st_dev


def _room(settings: Settings, data: Path) -> Finding:
    wanted = _wanted_mb(settings).items()
    return _enough(data, LEAST_MB + sum(mb for name, mb in wanted if not _is_elsewhere(data / name, data)))


def _enough(folder: Path, wanted_mb: float, whose: str = "of server.data") -> Finding:
    free_mb = shutil.disk_usage(folder).free / 1e6
    text = f"{free_mb:,.0f} MB are free on the disk {whose}"
    if free_mb >= wanted_mb:
        return _found("ok", text)
    return _found(
        "warning", f"{text}; {wanted_mb:,.0f} are needed", "make room, or lower tape.max_mb or recording.keep_mb"
    )


def _open_files(settings: Settings) -> Finding:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # the value to which `voxline serve` raises its own limit
    wanted = OTHER_FILES + settings.call.capacity * (4 if settings.sip.enabled else 2)
    wanted += settings.sip.connections if settings.sip.enabled else 0
    wanted += settings.call.capacity if settings.tape.mode != "off" else 0
    text = f"{most} files and sockets may be open at once; {wanted} may be needed"
    if most == resource.RLIM_INFINITY or most >= wanted:
        return _found("ok", text)
    return _found("problem", text, f"ulimit -n {wanted}, or LimitNOFILE={wanted} in the unit, or lower call.capacity")


def _found(level: Level, text: str, advice: str = "") -> Finding:
    return Finding(level, "files", text, advice)
