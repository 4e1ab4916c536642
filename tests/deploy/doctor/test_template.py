from __future__ import annotations

import json
import shutil

import pytest

from deploy.config import Config
from deploy.doctor.finding import Finding
from deploy.doctor.model import check_engine
from tests import qwen3_vocabulary

Level = Finding.Level
QWEN3 = {"architectures": ["Qwen3ForCausalLM"], "max_position_embeddings": 40960}


@pytest.fixture
def folder(tmp_path):
    """A model folder as the doctor sees it: it reads no weights."""
    try:
        vocabulary = qwen3_vocabulary.tokenizer_json()
    except qwen3_vocabulary.Unavailable as error:
        pytest.skip(str(error))
    made = tmp_path / "Qwen3-Reranker-0.6B"
    made.mkdir()
    shutil.copy(vocabulary, made / "tokenizer.json")
    (made / "config.json").write_text(json.dumps(QWEN3))
    (made / "model.safetensors").write_bytes(b"")
    return made


def template(folder, **engine):
    sections = {"engine": {"kind": "vllm", "model": str(folder), **engine}}
    found = check_engine(Config.model_validate(sections))
    return next(finding for finding in found if finding.check == "template")


def test_the_official_vocabulary_gives_the_official_prompt(folder):
    finding = template(folder)

    assert finding.level is Level.OK
    assert "official sample" in finding.message


def test_another_tokenizer_under_the_same_config_is_found_before_a_start(folder):
    body = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = body["model"]["vocab"]
    vocabulary["yes"], vocabulary["no"] = vocabulary["no"], vocabulary["yes"]
    (folder / "tokenizer.json").write_text(json.dumps(body))

    finding = template(folder)

    assert finding.level is Level.FAIL
    assert "(2152, 9693)" in finding.message


def test_an_architecture_that_nobody_knows_says_what_to_configure(folder):
    (folder / "config.json").write_text(json.dumps({"architectures": ["SomethingForVision"]}))

    finding = template(folder)

    assert finding.level is Level.FAIL
    assert "[engine] profile" in finding.fix


def test_a_tokenizer_that_was_cut_off_is_found(folder):
    (folder / "tokenizer.json").write_text('{"version": "1.0"')

    finding = template(folder)

    assert finding.level is Level.FAIL
    assert "tokenizer.json" in finding.message
