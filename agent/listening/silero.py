"""Silero's voice detector, rearranged for many calls at once.

The published file convolves every window on its own, over as few as one to four points in time, which leaves the
processor mostly idle. Here each layer is one matrix for all windows of a run: the same weights and, within rounding,
the same probabilities, for 64 calls at two thirds of the cost or less (`make bench-line` shows both). A window's
probability does not depend, to the bit, on how many others are in the run.

Architecture (silero-vad 6.2, 8 kHz): short-time Fourier transform as a convolution (128 samples every 64), magnitude,
four convolutions of width 3 with ReLU, one LSTM cell of 128, a linear layer, a sigmoid.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from agent.exceptions import EngineError
from audio.rate import SAMPLES_PER_MS, WINDOW_MS

WINDOW = WINDOW_MS * SAMPLES_PER_MS  # samples: 256, as the network has been trained
CONTEXT = 32  # samples of the window before, which come first
STATE = 128  # twice: hidden and cell

_PADDED = 32  # samples mirrored at the end
_FRAME, _HOP = 128, 64
_FRAMES = 4
_BINS = 65
_STRIDES = (1, 2, 2, 1)

FloatArray = NDArray[np.float32]


def model_path() -> Path:
    """Silero's ONNX file, found without importing its package (which would import torch)."""
    spec = find_spec("silero_vad")
    for folder in spec.submodule_search_locations or () if spec else ():
        path = Path(folder) / "data" / "silero_vad.onnx"
        if path.is_file():
            return path
    raise EngineError("the voice detector is missing: pip install --no-deps silero-vad")


def load(path: Path | None = None) -> onnxruntime.InferenceSession:
    """The detector as a session of one thread: `input` (windows, 288) float32 in -1..1 and `state` (2, windows, 128)
    give the probabilities (windows, 1) and the next state. Raises EngineError for a file that is not Silero's."""
    path = path or model_path()
    try:
        model = _Graph(_weights(path)).model()
    except (KeyError, IndexError, StopIteration, ValueError) as error:
        raise EngineError(f"{path} is not the Silero model voxline knows: {error!r}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, sess_options=options, providers=["CPUExecutionProvider"])


def _weights(path: Path) -> dict[str, FloatArray]:
    """The weights of the 8 kHz half, which is the `else` of the one `If` in the file."""
    graph = onnx.load(path).graph
    choice = next(node for node in graph.node if node.op_type == "If")
    branch = next(attribute.g for attribute in choice.attribute if attribute.name == "else_branch")
    return {
        node.output[0].rpartition("__Inline_0__")[2]: numpy_helper.to_array(node.attribute[0].t)
        for node in branch.node
        if node.op_type == "Constant"
    }


class _Graph:
    """Builds the model node by node."""

    def __init__(self, weights: dict[str, FloatArray]) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def model(self) -> bytes:
        self._decode(self._encode(self._magnitudes()))
        inputs = [_tensor("input", ["windows", CONTEXT + WINDOW]), _tensor("state", [2, "windows", STATE])]
        outputs = [_tensor("output", ["windows", 1]), _tensor("next_state", [2, "windows", STATE])]
        graph = helper.make_graph(self._nodes, "silero", inputs, outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
        onnx.checker.check_model(model)
        data: bytes = model.SerializeToString()
        return data

    def _magnitudes(self) -> str:
        """The spectra of the four frames in a row: (windows, 4 × 65)."""
        length = CONTEXT + WINDOW
        samples = np.concatenate([np.arange(length), length - 2 - np.arange(_PADDED)])
        frames = samples[_HOP * np.arange(_FRAMES)[:, None] + np.arange(_FRAME)]
        framed = self._node("Gather", "input", self._constant(frames), axis=1)
        spectrum = self._node(
            "MatMul", framed, self._constant(self._weights["stft.forward_basis_buffer"].reshape(2 * _BINS, _FRAME).T)
        )
        squares = self._node("Mul", spectrum, spectrum)
        self._nodes.append(
            helper.make_node("Split", [squares, self._constant([_BINS, _BINS])], ["real", "imaginary"], axis=2)
        )
        magnitude = self._node("Sqrt", self._node("Add", "real", "imaginary"))
        return self._node("Reshape", magnitude, self._constant([0, _FRAMES * _BINS]))

    def _encode(self, layer: str) -> str:
        steps = _FRAMES
        for number, stride in enumerate(_STRIDES):
            kernel = self._weights[f"encoder.{number}.reparam_conv.weight"]
            bias = self._weights[f"encoder.{number}.reparam_conv.bias"]
            matrix = dense(kernel, steps, stride)
            steps = matrix.shape[1] // len(bias)
            linear = self._node("Gemm", layer, self._constant(matrix), self._constant(np.tile(bias, steps)))
            layer = self._node("Relu", linear)
        return layer

    def _decode(self, layer: str) -> None:
        weights = self._weights
        first_axis = self._constant([0])
        parts = [weights["decoder.rnn.weight_ih"], weights["decoder.rnn.weight_hh"]]
        bias = np.concatenate([_gates(weights["decoder.rnn.bias_ih"]), _gates(weights["decoder.rnn.bias_hh"])])
        inputs = [self._node("Unsqueeze", layer, first_axis)]
        inputs += [self._constant(_gates(part)[None]) for part in parts]
        inputs += [self._constant(bias[None]), "", "hidden", "cell"]
        add = self._nodes.append
        add(helper.make_node("Split", ["state", self._constant([1, 1])], ["hidden", "cell"], axis=0))
        add(helper.make_node("LSTM", inputs, ["", "next_hidden", "next_cell"], hidden_size=STATE))
        add(helper.make_node("Concat", ["next_hidden", "next_cell"], ["next_state"], axis=0))
        hidden = self._node("Relu", self._node("Squeeze", "next_hidden", first_axis))
        last = [weights["decoder.decoder.2.weight"][0], weights["decoder.decoder.2.bias"]]
        linear = self._node("Gemm", hidden, *map(self._constant, last))
        add(helper.make_node("Sigmoid", [linear], ["output"]))

    def _node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def _constant(self, value: NDArray[np.generic] | list[int]) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name


def dense(kernel: FloatArray, steps: int, stride: int) -> FloatArray:
    """A convolution of width 3, padded by one, as a matrix.

    `kernel` is (out, in, 3); the matrix takes `steps` × in values in a row and gives (steps - 1) // stride + 1 times
    out of them.
    """
    outputs, inputs, width = kernel.shape
    count = (steps - 1) // stride + 1
    matrix = np.zeros((steps, inputs, count, outputs), np.float32)
    for to in range(count):
        for tap in range(width):
            step = to * stride + tap - 1
            if 0 <= step < steps:
                matrix[step, :, to, :] = kernel[:, :, tap].T
    return matrix.reshape(steps * inputs, count * outputs)


def _gates(weights: FloatArray) -> FloatArray:
    """From torch's order of an LSTM's gates (input, forget, cell, output) to ONNX's."""
    into, forget, cell, out = np.split(weights, 4)
    return np.concatenate([into, out, forget, cell])


def _tensor(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
