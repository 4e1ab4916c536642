from __future__ import annotations

import json
import os
import subprocess
import sys

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
    assert found.sentence_tokens is None


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        pytest.param('{"max_seq_length": 256}', 256, id="told"),
        pytest.param('{"max_seq_length": null}', None, id="null"),
        pytest.param('{"do_lower_case": true}', None, id="not told"),
        pytest.param("[256]", None, id="not an object"),
        pytest.param("{", None, id="not JSON"),
    ],
)
def test_the_length_that_it_was_trained_with_is_read(tmp_path, content, tokens):
    folder = write(tmp_path / "my-embedder")
    (folder / "sentence_bert_config.json").write_text(content)

    assert opened(folder).sentence_tokens == tokens


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


# where the hub's cache is, and whether it may be asked, is decided when the library is imported
PROGRAM = """
import sys
from service.worker.engine import EngineStartError
from service.worker.engines.model_folder import open_folder
try:
    found = open_folder(sys.argv[1], revision=None, report=lambda step: None)
    print("found", found.name, found.path.name)
except EngineStartError as error:
    print("permanent" if error.permanent else "try again", error)
"""


def hub(tmp_path, model, **environment):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, model],
        env={**os.environ, "HF_HOME": str(tmp_path / "hf"), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def in_cache(tmp_path, *, files=("model.safetensors",), index=()):
    place = tmp_path / "hf" / "hub" / "models--org--reranker"
    revision = "a" * 40
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(revision)
    folder = place / "snapshots" / revision
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"architectures": ["X"]}')
    for name in files:
        (folder / name).write_bytes(b"w")
    if index:
        weights = {f"layer{n}": name for n, name in enumerate(index)}
        path = folder / "model.safetensors.index.json"
        path.write_text(json.dumps({"weight_map": weights}))
    return revision


def test_a_hub_id_is_found_in_the_cache_and_keeps_its_name(tmp_path):
    revision = in_cache(tmp_path)

    assert hub(tmp_path, "org/reranker", HF_HUB_OFFLINE="1") == f"found org/reranker {revision}\n"


@pytest.mark.parametrize(
    ("cached", "environment", "words"),
    [
        pytest.param(None, {"HF_HUB_OFFLINE": "1"}, "permanent", id="offline, not in the cache"),
        pytest.param(
            {"files": ("a.safetensors",), "index": ("a.safetensors", "b.safetensors")},
            {"HF_HUB_OFFLINE": "1"},
            "permanent",
            id="offline, half downloaded",
        ),
        pytest.param(
            None,
            {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:1"},
            "try again",
            id="no network",
        ),
    ],
)
def test_a_model_that_cannot_be_had_says_where_to_put_it(tmp_path, cached, environment, words):
    if cached is not None:
        in_cache(tmp_path, **cached)

    said = hub(tmp_path, "org/reranker", **environment)

    assert said.startswith(words)
    assert "put its files in a folder" in said
    assert str(tmp_path / "hf" / "hub") in said
