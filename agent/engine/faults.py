"""What an error in a model's step means: a request costs too much memory, the request or the model is at fault, or this
process has lost the GPU.

After some CUDA errors every further call in the process fails too ("sticky" errors); only a new process can go on.
Where memory is short the others go on as soon as one gives way.
"""

import torch

from agent.exceptions import DeviceLost, EngineError, OutOfMemory

NO_ROOM = ("out of memory", "ALLOC_FAILED", "can't allocate memory")
ON_A_GPU = ("CUDA", "CUBLAS", "CUDNN", "cuDNN")
# As cudaGetErrorString puts what CUDA's documentation says a process must end after, and what the libraries say when
# their kernels came to such an end.
STICKY = (
    "device-side assert",
    "illegal memory access",
    "illegal instruction",
    "unspecified launch failure",
    "misaligned address",
    "invalid program counter",
    "launch timed out",
    "hardware stack error",
    "operation not supported on global/shared address space",
    "uncorrectable",  # ECC, NVLink
    "error was contained",
    "unknown error",
    "EXECUTION_FAILED",
)


def judge(error: Exception, what: str, remedy: str) -> EngineError:
    """What to tell of an error of `what` ("Voxtral", say): DeviceLost where this process can use its GPU no more.
    `remedy` is what helps against too little memory, which is given back as far as it goes."""
    if _no_room(error):
        torch.cuda.empty_cache()  # nothing, without a GPU
        return OutOfMemory(f"{what} is out of memory: {remedy}")
    if _lost(error):
        return DeviceLost(f"{what} has lost its GPU, which only a new process can use again: {_brief(error)}")
    return EngineError(f"{what} failed: {_brief(error)}")


def _no_room(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in NO_ROOM)
    )


def _lost(error: Exception) -> bool:
    text = str(error)
    if not isinstance(error, torch.AcceleratorError) and not (
        isinstance(error, RuntimeError) and any(name in text for name in ON_A_GPU)
    ):
        return False
    return any(sticky in text for sticky in STICKY) or not _works()


def _works() -> bool:
    """Whether the GPU still does anything: a sticky error comes again, whatever is asked for."""
    if not torch.cuda.is_available():
        return True
    try:
        torch.cuda.synchronize()
        return bool(torch.ones(1, device="cuda").item())
    except RuntimeError:
        return False


def _brief(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
