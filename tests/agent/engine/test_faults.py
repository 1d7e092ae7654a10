"""What errors of torch's mean, and the process of the models that ends with its GPU and comes back."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import torch

from agent.engine.base import Cue, Done, ReplyRequest, Text
from agent.engine.faults import judge
from agent.engine.process.child import Limits
from agent.engine.process.remote import in_process
from agent.exceptions import DeviceLost, EngineError, OutOfMemory
from config.engine import EngineSettings
from tests.agent.engine.voxtral.agents import AGENTS

ROOT = Path(__file__).parents[3]
CUDA = "CUDA error: {}\nCUDA kernel errors might be asynchronously reported at some other API call."


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        torch.AcceleratorError(CUDA.format("out of memory")),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_where_there_is_no_room_others_go_on(error: Exception) -> None:
    fault = judge(error, "Voxtral", "lower engine.voxtral.slots")
    assert type(fault) is OutOfMemory
    assert str(fault) == "Voxtral is out of memory: lower engine.voxtral.slots"


def test_memory_that_this_machine_really_has_not_got() -> None:
    with pytest.raises(RuntimeError) as error:
        torch.empty(1 << 60)
    assert type(judge(error.value, "Voxtral", "")) is OutOfMemory


@pytest.mark.parametrize(
    "what",
    [
        "device-side assert triggered",
        "an illegal memory access was encountered",
        "an illegal instruction was encountered",
        "unspecified launch failure",
        "misaligned address",
        "uncorrectable ECC error encountered",
        "the launch timed out and was terminated",
        "unknown error",
    ],
)
@pytest.mark.parametrize("kind", [torch.AcceleratorError, RuntimeError])
def test_a_poisoned_process_is_known(kind: type[Exception], what: str) -> None:
    fault = judge(kind(CUDA.format(what)), "Kokoro", "")
    assert type(fault) is DeviceLost
    assert str(fault) == (
        f"Kokoro has lost its GPU, which only a new process can use again: {kind.__name__}: CUDA error: {what}"
    )


def test_libraries_that_came_to_such_an_end() -> None:
    error = RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx( handle, opa, opb)`")
    assert type(judge(error, "Voxtral", "")) is DeviceLost


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"),
        RuntimeError("unknown error"),  # of whom?
        ValueError("CUDA error: device-side assert triggered, said a text"),
        torch.AcceleratorError(CUDA.format("invalid configuration argument")),  # the call was at fault
        RuntimeError(),
    ],
)
def test_other_errors_cost_only_what_they_happened_to(error: Exception) -> None:
    assert type(judge(error, "Voxtral", "")) is EngineError


def build(settings: EngineSettings, agents: Any) -> Any:
    """In the child: the real Voxtral, whose GPU is lost once, at the first step after a file has been put there."""
    from agent.engine.base import Engine
    from agent.engine.voxtral.model import VoxtralModel
    from tests.agent.engine.remote_parts import Ears, Voice

    class Model(VoxtralModel):
        async def load(self) -> None:
            torch.set_num_threads(1)
            await super().load()
            assert self._loaded
            decoder = self._loaded.streams._loop._decoder
            decoder._model.lm_head.register_forward_pre_hook(lose)

    def lose(*_: Any) -> None:
        file = Path(settings.kokoro.model)
        if file.exists():
            file.unlink()
            raise torch.AcceleratorError(CUDA.format("device-side assert triggered"))

    return Engine(Model(settings.voxtral, agents), Voice(), Ears(), transcribes_in_background=True)


@pytest.mark.slow
@pytest.mark.timeout(300)  # two processes import the models' packages
async def test_a_process_that_has_lost_its_gpu_ends_and_a_new_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.checkpoints import voxtral

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    says = {"[/INST]": ["Good", " morning."]}
    file = tmp_path / "lose"
    settings = EngineSettings.model_validate(
        {
            "profile": "gpu",
            "voxtral": {
                "model": str(voxtral.build(tmp_path / "voxtral", says=says)),
                "device": "cpu",
                "slots": 2,
                "context": 3072,
            },
            "kokoro": {"model": str(file)},
        }
    )
    engine = in_process(settings, AGENTS, factory=f"{__name__}.build", limits=Limits(back_off_s=0.01))
    request = ReplyRequest("r", "CA1", "desk", Cue.GREET)
    try:
        await engine.model.load()
        file.touch()
        with pytest.raises(EngineError, match=r"the engine's process has lost its GPU and ended: .* started again"):
            [event async for event in engine.model.reply(request)]
        assert not file.exists()
        async with asyncio.timeout(150):
            await engine.model.load()
        assert [event async for event in engine.model.reply(request)] == [Text("Good"), Text(" morning."), Done()]
    finally:
        await engine.model.close()
