"""What a model needs of this host: its folder, a GPU if it is to run on one, and a CUDA stream of its own there."""

import os
import shutil
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import torch
from huggingface_hub import snapshot_download

from agent.exceptions import EngineError


def find_folder(model: str, setting: str, files: list[str]) -> Path:
    """The folder of a model; `files` (patterns) are fetched when it is a name on the hub. `setting` is its group, such
    as "engine.kokoro". Raises EngineError."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or model.startswith((".", "~")):
        raise EngineError(f"{setting}.model: there is no folder {folder}")
    try:
        return Path(snapshot_download(model, allow_patterns=files))
    except Exception as error:  # huggingface_hub has dozens, of HTTP, of names, of its cache
        raise EngineError(
            f"{setting}.model: {model!r} is neither a folder nor a model that can be had from the hub ({error}); "
            f"fetch it once with `hf download {model}`, or name the folder that holds it"
        ) from error


def require_gpu(device: str, setting: str) -> None:
    """Raises EngineError where the settings want a GPU and there is none."""
    if device == "cuda" and not torch.cuda.is_available():
        raise EngineError(
            f"{setting}.device is cuda, but torch finds no GPU: check nvidia-smi and that torch is a CUDA build, "
            "or choose cpu, or another engine.profile"
        )


def use_own_stream(device: str, *, urgent: bool = False) -> None:
    """From now on this thread's work on a GPU stands in no line with that of other models: what it was given before
    comes first, and `urgent` work overtakes. Without a GPU nothing changes."""
    if device == "cuda":
        stream = torch.cuda.Stream(priority=-1 if urgent else 0)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())  # the weights may still be on their way
        torch.cuda.set_stream(stream)


def lacking_for_kernels() -> list[str]:
    """What Triton would need to build kernels for a GPU and this host has not: a package, or one of Debian's."""
    compiler = os.environ.get("CC") or "cc"
    found = {
        "triton": find_spec("triton"),
        f"a C compiler ({compiler})": shutil.which(compiler) or shutil.which("gcc") or shutil.which("clang"),
        "Python's headers (python3-dev)": Path(sysconfig.get_path("include"), "Python.h").is_file(),
    }
    return [name for name, there in found.items() if not there]
