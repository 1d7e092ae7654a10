"""Nothing leaves the host: tells packages that phone home not to, before any of them is imported.

Importing `config`, `agent` or `telephony` does this, for the process and its children:

- onnxruntime (1.31) keeps an identifier of the device and a database of events in the user's cache, and sends them;
- huggingface_hub, and transformers through it, tell the hub what is used and look for newer versions of themselves.
"""

import os
import sys

SILENCED = {
    "DO_NOT_TRACK": "1",  # https://donottrack.sh
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "ORT_DISABLE_TELEMETRY": "1",
}


def silence() -> None:
    """Set the variables, whatever the environment says."""
    os.environ.update(SILENCED)


def leave_the_hub() -> None:
    """From now on, with all models loaded, this process asks the hub for nothing."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    if constants := sys.modules.get("huggingface_hub.constants"):
        constants.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
