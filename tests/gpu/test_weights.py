"""The random weights are what Transformers takes for a Qwen3; run where it is installed."""

from __future__ import annotations

import pytest

from deploy.gpu import weights
from deploy.gpu.shape import Shape

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
SMALL = Shape(layers=2, hidden=64, heads=4, kv_heads=2, head_dim=32, intermediate=128)


def test_every_tensor_has_its_place_and_none_is_missing(tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs Transformers")
    torch = pytest.importorskip("torch", reason="needs torch")
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text("{}")
    folder = weights.write(tmp_path / "Qwen3-Reranker-small", SMALL, tokenizer)

    model, said = transformers.Qwen3ForCausalLM.from_pretrained(folder, output_loading_info=True)

    assert not said["missing_keys"]
    assert not said["unexpected_keys"]
    assert model.dtype == torch.bfloat16
    assert model.num_parameters() == SMALL.parameters
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    spread = float(model.model.layers[0].mlp.up_proj.weight.detach().float().std())
    assert spread == pytest.approx(weights.SPREAD, rel=0.1)
