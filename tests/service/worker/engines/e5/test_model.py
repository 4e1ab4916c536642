"""Weight file, ONNX graph and Hugging Face folder, on a small random model."""

import json
import math
import struct

import numpy as np
import pytest

from service.worker.engines.e5 import folder, graph
from service.worker.engines.e5.forward import Forward
from service.worker.engines.e5.weights import BadWeights, Weights
from tests.service.worker.engines.e5 import weight_file
from tests.service.worker.engines.e5.weight_file import HEADS, HIDDEN, LAYERS


def reference(tensors: dict[str, np.ndarray], ids: np.ndarray) -> np.ndarray:
    """The encoder in numpy, as BERT is defined; one window, float64."""

    def normal(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return scaled * tensors[f"{name}.w"] + tensors[f"{name}.b"]

    def linear(x, name):
        return x @ tensors[f"{name}.w"].T.astype(np.float64) + tensors[f"{name}.b"]

    def heads(x):
        return x.reshape(len(x), HEADS, -1).transpose(1, 0, 2)

    position = tensors["emb.pos"].reshape(-1, HIDDEN)[: len(ids)]
    x = normal(tensors["emb.word"][ids] + position + tensors["emb.type"][:HIDDEN], "emb.ln")
    for layer in range(LAYERS):
        q, k, v = (heads(linear(x, f"l{layer}.{part}")) for part in "qkv")
        weights = np.exp(q @ k.transpose(0, 2, 1) / math.sqrt(HIDDEN / HEADS))
        mixed = (weights / weights.sum(-1, keepdims=True)) @ v
        mixed = mixed.transpose(1, 0, 2).reshape(len(x), HIDDEN)
        x = normal(linear(mixed, f"l{layer}.ao") + x, f"l{layer}.aln")
        inner = linear(x, f"l{layer}.fi")
        inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        x = normal(linear(inner, f"l{layer}.fo") + x, f"l{layer}.oln")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


@pytest.fixture
def tensors(tmp_path):
    return weight_file.write(tmp_path / "weights.bin")


@pytest.fixture
def weights(tmp_path, tensors):
    return Weights(tmp_path / "weights.bin")


def test_matrices_and_vectors_are_read_as_they_were_written(weights, tensors):
    np.testing.assert_array_equal(weights.vector("l1.fi.b"), tensors["l1.fi.b"])
    np.testing.assert_allclose(
        weights.matrix("l1.fo.w", weight_file.FFN).dense(), tensors["l1.fo.w"], rtol=1e-6
    )


@pytest.mark.parametrize("change", [{"magic": b"GGUF"}, {"block": 64}], ids=["magic", "block"])
def test_another_format_is_refused(tmp_path, change):
    weight_file.write(tmp_path / "other.bin", **change)
    with pytest.raises(BadWeights):
        Weights(tmp_path / "other.bin")


def test_the_graph_computes_the_encoder_within_the_error_of_eight_bits(tmp_path, weights, tensors):
    graph.write_model(weights, tmp_path)
    forward = Forward(tmp_path)
    windows = [np.array(ids, np.int32) for ids in ([0, 5, 9, 2], [0, 7, 2], list(range(30)))]
    found = forward.embed(windows)
    for row, window in zip(found, windows, strict=True):
        assert float(row @ reference(tensors, window)) > 0.998


def test_padding_does_not_change_an_embedding(tmp_path, weights):
    graph.write_model(weights, tmp_path)
    forward = Forward(tmp_path)
    short, long = np.array([0, 5, 9, 2], np.int32), np.arange(32, dtype=np.int32)
    np.testing.assert_allclose(
        forward.embed([short, long])[0], forward.embed([short])[0], atol=1e-5
    )


def test_quantized_weights_stay_within_seven_bits(tensors):
    values, scales = graph.quantize(tensors["l0.q.w"])
    assert np.abs(values).max() == graph.WEIGHT_LIMIT
    error = np.abs(values * scales[:, None] - tensors["l0.q.w"])
    assert (error <= scales[:, None] / 2 + 1e-7).all()


def test_safetensors_are_readable_by_their_definition(tmp_path, weights, tensors):
    path = tmp_path / "model.safetensors"
    folder.write_safetensors(path, dict(folder._tensors(weights)))
    raw = path.read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + length])
    entry = header["encoder.layer.1.output.dense.weight"]
    first, last = (8 + length + offset for offset in entry["data_offsets"])
    values = np.frombuffer(raw[first:last], np.float16).reshape(entry["shape"])
    np.testing.assert_allclose(values, tensors["l1.fo.w"], atol=1e-3)
    assert len(header) == 1 + 5 + LAYERS * 16
    assert max(one["data_offsets"][1] for one in header.values() if "shape" in one) == (
        len(raw) - 8 - length
    )
