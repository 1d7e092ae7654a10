"""What the tests take from Debian. Without it some of them are skipped; `python -m tests.debian` says which.

Only the standard library is imported, since `.ci/clients` asks for the packages before anything is set up.
"""

import ctypes.util
import glob
import shutil
import sys
from typing import Any

PROGRAMS = {
    "baresip-core": "baresip",
    "chromium": "chromium",
    "iproute2": "ip",
    "kamailio": "kamailio",
    "linphone-cli": "linphonec",
    "openssl": "openssl",
    "pulseaudio": "pulseaudio",
    "pulseaudio-utils": "pacat",
    "rtpengine-daemon": "rtpengine",
    "sip-tester": "sipp",
    "sipvicious": "svmap",
    "twinkle-console": "twinkle-console",
    "util-linux": "unshare",
}
LIBRARIES = {"libopus0": "opus", "libspandsp2": "spandsp"}
MUSIC = "/usr/share/asterisk/moh"
POSTGRES = "/usr/lib/postgresql/*/bin/postgres"  # one for each version
FILES = {"asterisk-moh-opsound-wav": f"{MUSIC}/reno_project-system.wav", "postgresql": POSTGRES}
PACKAGES = sorted(PROGRAMS | LIBRARIES | FILES)


def is_missing(package: str) -> bool:
    """Whether what the tests need from a package is missing on this machine, however it would be installed."""
    if library := LIBRARIES.get(package):
        return ctypes.util.find_library(library) is None
    if file := FILES.get(package):
        return not glob.glob(file)  # noqa: PTH207 (an absolute pattern)
    return shutil.which(PROGRAMS[package]) is None


def why(package: str) -> str:
    """Why a test without the package is skipped."""
    return f"{(PROGRAMS | LIBRARIES | FILES)[package]} is not installed (Debian: {package})"


def needs(package: str) -> Any:
    """A mark for tests that are skipped without the package."""
    import pytest

    return pytest.mark.skipif(is_missing(package), reason=why(package))


def require(package: str) -> None:
    """Skip the running test without the package."""
    import pytest

    if is_missing(package):
        pytest.skip(why(package))


def main() -> None:
    """One line: what was skipped and how to install it; or, with --list, the packages."""
    if "--list" in sys.argv:
        print(*PACKAGES)
        return
    missing = [package for package in PACKAGES if is_missing(package)]
    if missing:
        names = ", ".join(f"{(PROGRAMS | LIBRARIES | FILES)[package]} ({package})" for package in missing)
        print(f"Skipped, for want of Debian packages: the tests with {names}. To install them, as root: .ci/clients")
    else:
        print("No test was skipped for want of a Debian package.")


if __name__ == "__main__":
    main()
