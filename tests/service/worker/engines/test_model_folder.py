from __future__ import annotations

import json

import pytest

from service.worker.engine import EngineStartError
from service.worker.engines.model_folder import open_folder


def write(folder, *, weights=b"w" * 100, config=None):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config or {"architectures": ["X"]}))
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def opened(model):
    return open_folder(str(model), revision=None, report=lambda step: None)


def test_a_folder_is_read(tmp_path):
    folder = write(tmp_path / "my-reranker")
    (folder / "modules.json").write_text("[]")

    found = opened(folder)

    assert (found.name, found.config["architectures"]) == ("my-reranker", ["X"])
    assert found.sentence_embedding


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({}, True, id="copied"),
        pytest.param({"weights": b"w" * 99 + b"x"}, False, id="other weights of the same size"),
        pytest.param({"weights": b"w" * 101}, False, id="another size"),
        pytest.param({"config": {"architectures": ["Y"]}}, False, id="another config"),
    ],
)
def test_the_digest_tells_models_apart(tmp_path, change, same):
    first = opened(write(tmp_path / "a")).weights

    assert (opened(write(tmp_path / "b", **change)).weights == first) is same


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        pytest.param("config.json", "config.json", id="no config"),
        pytest.param("model.safetensors", "no weights", id="no weights"),
    ],
)
def test_an_incomplete_folder_is_named_for_good(tmp_path, missing, words):
    folder = write(tmp_path / "m")
    (folder / missing).unlink()

    with pytest.raises(EngineStartError) as refused:
        opened(folder)

    assert refused.value.permanent
    assert words in str(refused.value)


def test_a_folder_without_tokenizer_says_how_to_make_one(tmp_path):
    folder = opened(write(tmp_path / "m"))

    with pytest.raises(EngineStartError, match="save_pretrained"):
        folder.tokenizer_json()


def test_a_missing_folder_says_what_belongs_there(tmp_path):
    with pytest.raises(EngineStartError, match="safetensors") as refused:
        opened(tmp_path / "nothing")

    assert refused.value.permanent
