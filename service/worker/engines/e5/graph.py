"""Turns the weights into an ONNX model: integer matrices and activations, 4-bit word vectors.

Activations are quantized token by token and not, as ONNX Runtime's own dynamic quantization does
it, over the whole pass: so a document's score does not depend on the documents beside it, and
half of the error is gone. The graph is written in the operators that ONNX Runtime runs fastest on
a CPU, so that nothing is left for its optimizer at load. Large tensors go to one external file,
which it maps into memory. Measurements behind the choices: docs/embedded-engine.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.worker.engines.e5.weights import Quantized, Shape, Weights

MODEL_FILE = "model.onnx"
DATA_FILE = "model.data"
_CONTRIB = "com.microsoft"
_OPSET = 20
_IR_VERSION = 10
_ALIGN = 4096  # ONNX Runtime maps the file in pages
_INLINE_BYTES = 1024
_CONTRIB_OPS = {"Gelu", "GatherBlockQuantized", "MatMulIntegerToFloat", "MultiHeadAttention"}

WEIGHT_LIMIT = 63
"""Weights use 7 of 8 bits: two products of an 8-bit activation (up to 255) and a weight must fit
into the 16 bits in which AVX2 adds them, 2 * 255 * 63 < 32768. Processors without VNNI would
silently saturate with more. The source has 4 bits, so the ranking does not suffer."""

_ACTIVATION_ZERO = 128
_ACTIVATION_LIMIT = 127


@dataclass(slots=True)
class _Graph:
    """A graph in the making; tensors are appended to the data file as they are named."""

    data: Any
    nodes: list[Any] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper  # noqa: PLC0415 - 0.1 s that only a conversion pays

        domain = _CONTRIB if op in _CONTRIB_OPS else ""
        self.nodes.append(helper.make_node(op, inputs, [output], domain=domain, **attributes))
        return output

    def split(self, value: str, outputs: list[str]) -> list[str]:
        from onnx import helper  # noqa: PLC0415

        node = helper.make_node("Split", [value], outputs, axis=-1, num_outputs=len(outputs))
        self.nodes.append(node)
        return outputs

    def tensor(self, name: str, values: NDArray[Any], *, int4: bool = False) -> str:
        """Add a constant; `int4` says that `values` are pairs of signed nibbles, low one first."""
        from onnx import TensorProto, helper  # noqa: PLC0415

        tensor = TensorProto()
        tensor.name = name
        dims = values.shape if not int4 else (*values.shape[:-1], values.shape[-1] * 2)
        tensor.dims.extend(dims)
        tensor.data_type = (
            TensorProto.INT4 if int4 else helper.np_dtype_to_tensor_dtype(values.dtype)
        )
        raw = np.ascontiguousarray(values)
        if raw.nbytes <= _INLINE_BYTES:
            tensor.raw_data = raw.tobytes()
        else:
            self.data.write(b"\0" * (-self.data.tell() % _ALIGN))
            tensor.data_location = TensorProto.EXTERNAL
            place = (("location", DATA_FILE), ("offset", self.data.tell()), ("length", raw.nbytes))
            for key, value in place:
                tensor.external_data.add(key=key, value=str(value))
            self.data.write(raw.data)
        self.tensors.append(tensor)
        return name


def write_model(weights: Weights, folder: Path) -> None:
    """Write `model.onnx` and `model.data` into `folder`.

    Inputs: `ids` int64 [batch, length], right-padded; `lengths` int32 [batch]; `mask` float32
    [batch, length, 1]. Output: `embedding` float32 [batch, hidden], of length 1.
    """
    import onnx  # noqa: PLC0415
    from onnx import TensorProto, helper  # noqa: PLC0415

    shape = weights.shape
    with (folder / DATA_FILE).open("wb") as data:
        graph = _Graph(data)
        _constants(graph, shape)
        value = _embed(graph, weights)
        for layer in range(shape.layers):
            value = _layer(graph, weights, f"l{layer}.", value)
        _pool(graph, value)
    inputs = [
        helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"]),
        helper.make_tensor_value_info("lengths", TensorProto.INT32, ["batch"]),
        helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["batch", "length", 1]),
    ]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", shape.hidden])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "multilingual-e5-small", inputs, [output], graph.tensors),
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIB, 1)],
        ir_version=_IR_VERSION,
        producer_name="rankguard",
    )
    (folder / MODEL_FILE).write_bytes(onnx.ModelProto.SerializeToString(model))


def quantize(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantize [outputs, inputs] symmetrically to -63..63, with one scale per output."""
    scales = np.abs(matrix).max(axis=1) / WEIGHT_LIMIT
    scales[scales == 0] = 1
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales.astype(np.float32)


def _constants(graph: _Graph, shape: Shape) -> None:
    """Tensors that every layer uses, and shapes that depend on the pass."""
    graph.tensor("first", np.array([0], np.int64))
    graph.tensor("second", np.array([1], np.int64))
    graph.tensor("last", np.array([-1], np.int64))
    graph.tensor("flat", np.array([-1, shape.hidden], np.int64))
    graph.tensor("hidden", np.array([shape.hidden], np.int64))
    graph.tensor("hidden*3", np.array([3 * shape.hidden], np.int64))
    graph.tensor("1", np.array(1, np.float32))
    graph.tensor("tiny", np.array(1e-6, np.float32))
    graph.tensor("1/127", np.array(1 / _ACTIVATION_LIMIT, np.float32))
    graph.tensor("zero", np.array(_ACTIVATION_ZERO, np.uint8))
    graph.node("Shape", ["ids"], "batch,length")
    graph.node("Shape", ["ids"], "length", start=1, end=2)
    graph.node("Concat", ["batch,length", "hidden"], "batch,length,hidden", axis=0)
    graph.node("Concat", ["batch,length", "hidden*3"], "batch,length,hidden*3", axis=0)
    graph.node("Size", ["ids"], "size")
    graph.node("Unsqueeze", ["size", "first"], "tokens")
    graph.node("Expand", ["zero", "tokens"], "zeros")


def _embed(graph: _Graph, weights: Weights) -> str:
    shape = weights.shape
    words = weights.matrix("emb.word", shape.hidden)
    nibbles = words.values.view(np.uint8).reshape(len(words.values), -1, 2) & 0x0F
    graph.tensor("words", nibbles[:, :, 0] | (nibbles[:, :, 1] << 4), int4=True)
    graph.tensor("words.scale", words.scales)
    word = graph.node(
        "GatherBlockQuantized",
        ["words", "ids", "words.scale"],
        "word",
        gather_axis=0,
        quantize_axis=1,
        block_size=32,
    )
    # every input is of type 0, so its vector is added to the positions once and for all
    types = weights.vector("emb.type").reshape(shape.types, shape.hidden)
    positions = weights.vector("emb.pos").reshape(shape.positions, shape.hidden) + types[0]
    graph.tensor("positions", positions)
    graph.node("Slice", ["positions", "first", "length", "first"], "position")
    graph.node("Add", [word, "position"], "sum")
    total = graph.node("Reshape", ["sum", "flat"], "sum.flat")
    return _normalise(graph, weights, "emb.ln", total, shape)


def _layer(graph: _Graph, weights: Weights, layer: str, value: str) -> str:
    shape = weights.shape
    matrices = Quantized.stack([weights.matrix(f"{layer}{c}.w", shape.hidden) for c in "qkv"])
    biases = np.concatenate([weights.vector(f"{layer}{c}.b") for c in "qkv"])
    projected = _multiply(graph, f"{layer}qkv", matrices, value)
    projected = graph.node("Reshape", [projected, "batch,length,hidden*3"], f"{layer}qkv.shaped")
    query, key, content = graph.split(projected, [f"{layer}{c}" for c in "qkv"])
    attended = graph.node(
        "MultiHeadAttention",
        [query, key, content, graph.tensor(f"{layer}qkv.b", biases), "lengths"],
        f"{layer}attended",
        num_heads=shape.heads,
    )
    attended = graph.node("Reshape", [attended, "flat"], f"{layer}attended.flat")
    attended = _linear(graph, weights, f"{layer}ao", shape.hidden, attended)
    # Add and LayerNormalization: five times as fast here as the fused SkipLayerNormalization
    value = graph.node("Add", [attended, value], f"{layer}ao.sum")
    value = _normalise(graph, weights, f"{layer}aln", value, shape)
    inner = _linear(graph, weights, f"{layer}fi", shape.hidden, value)
    inner = graph.node("Gelu", [inner], f"{layer}gelu")
    inner = _linear(graph, weights, f"{layer}fo", shape.ffn, inner)
    value = graph.node("Add", [inner, value], f"{layer}fo.sum")
    return _normalise(graph, weights, f"{layer}oln", value, shape)


def _linear(graph: _Graph, weights: Weights, name: str, columns: int, value: str) -> str:
    product = _multiply(graph, name, weights.matrix(f"{name}.w", columns), value)
    bias = graph.tensor(f"{name}.b", weights.vector(f"{name}.b"))
    return graph.node("Add", [product, bias], f"{name}.out")


def _multiply(graph: _Graph, name: str, matrix: Quantized, value: str) -> str:
    """A product in integers; `value` is [tokens, inputs], each token with a scale of its own."""
    values, scales = quantize(matrix.dense())
    graph.tensor(f"{name}.w", values.T)
    graph.tensor(f"{name}.scale", scales)
    graph.node("Abs", [value], f"{name}.abs")
    graph.node("ReduceMax", [f"{name}.abs", "last"], f"{name}.max", keepdims=0)
    graph.node("Max", [f"{name}.max", "tiny"], f"{name}.range")
    graph.node("Mul", [f"{name}.range", "1/127"], f"{name}.step")
    inputs = [value, f"{name}.step", "zeros"]
    graph.node("QuantizeLinear", inputs, f"{name}.in", axis=0)
    inputs = [f"{name}.in", f"{name}.w", "1", f"{name}.scale", "zero"]
    graph.node("MatMulIntegerToFloat", inputs, f"{name}.steps")
    graph.node("Unsqueeze", [f"{name}.step", "second"], f"{name}.step.column")
    return graph.node("Mul", [f"{name}.steps", f"{name}.step.column"], f"{name}.product")


def _normalise(graph: _Graph, weights: Weights, name: str, value: str, shape: Shape) -> str:
    gain = graph.tensor(f"{name}.w", weights.vector(f"{name}.w"))
    bias = graph.tensor(f"{name}.b", weights.vector(f"{name}.b"))
    inputs = [value, gain, bias]
    return graph.node("LayerNormalization", inputs, f"{name}.out", axis=-1, epsilon=shape.epsilon)


def _pool(graph: _Graph, value: str) -> None:
    """The mean over the tokens, of length 1: the division by their number cancels out."""
    graph.node("Reshape", [value, "batch,length,hidden"], "encoded")
    graph.node("Mul", ["encoded", "mask"], "masked")
    graph.node("ReduceSum", ["masked", "second"], "pooled", keepdims=0)
    graph.node("LpNormalization", ["pooled"], "embedding", axis=-1, p=2)
