"""Compiles the kernels as Voxtral Mini launches them for a Hopper GPU, which need not be here, and prints as JSON what
ptxas says of registers that did not suffice. In a process of its own, since Triton interprets in that of the tests."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

BF16, FLOATS, PLACES = "*bf16", "*fp32", "*i64"
LONGS = {"slot_stride": "i32", "group_stride": "i32"}
# What each kernel gets from Voxtral Mini: types of arguments, constants, and warps.
LAUNCHES: dict[str, tuple[dict[str, str], dict[str, Any], int]] = {
    "_normalize": (
        dict.fromkeys(("hidden", "change", "weight", "added", "normal"), BF16) | {"width": "i32", "epsilon": "fp32"},
        {"changed": True, "block": 4096},
        8,
    ),
    "_place": (
        dict.fromkeys(("states", "turns", "queries", "keys", "values"), BF16)
        | {"slots": PLACES, "positions": PLACES, "slots_stride": "i32", **LONGS},
        {"heads": 32, "groups": 8, "size": 128},
        1,
    ),
    "_attend": (
        dict.fromkeys(("queries", "keys", "values"), BF16)
        | {"positions": PLACES, "found": FLOATS, "weights": FLOATS, "nowhere": "i32", "scale": "fp32", **LONGS},
        {"heads": 32, "group": 4, "rows": 16, "size": 128, "parts": 32, "part": 128, "block": 64},
        4,
    ),
    "_combine": (
        {"found": FLOATS, "weights": FLOATS, "positions": PLACES, "result": BF16, "nowhere": "i32"},
        {"heads": 32, "size": 128, "parts": 32, "padded": 32, "part": 128},
        2,
    ),
    "_gate": ({"states": BF16, "gated": BF16, "inner": "i32"}, {"chunk": 1024}, 4),
}


def spilled(name: str) -> str:
    """What a kernel spills."""
    from triton import compiler, knobs
    from triton.backends.compiler import GPUTarget

    from agent.engine.voxtral import kernels

    types, constants, warps = LAUNCHES[name]
    kernel = getattr(kernels, name)
    names = kernel.arg_names
    assert set(names) == {*types, *constants}
    source = compiler.ASTSource(
        fn=kernel,
        signature={each: types.get(each, "constexpr") for each in names},
        constexprs={(names.index(each),): value for each, value in constants.items()},
        attrs={(names.index(each),): [["tt.divisibility", 16]] for each in types if types[each][0] == "*"},
    )
    compiled = compiler.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": warps})
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "kernel.ptx").write_text(compiled.asm["ptx"])
        command = [knobs.nvidia.ptxas.path, "-v", "-arch=sm_90a", "kernel.ptx", "-o", "kernel.cubin"]
        said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stderr
    return said.split("stack frame, ")[1].splitlines()[0]


if __name__ == "__main__":
    print(json.dumps({name: spilled(name) for name in LAUNCHES}))  # noqa: T201
