from __future__ import annotations

import hashlib
import json

import pytest

from deploy.config import Config
from deploy.doctor.finding import Finding
from deploy.doctor.model import check_engine, check_model_folder

Level = Finding.Level


@pytest.fixture
def folder(tmp_path):
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    shards = {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    for name in shards.values():
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def worst(findings):
    order = [Level.OK, Level.WARN, Level.FAIL]
    return max(findings, key=lambda finding: order.index(finding.level))


def test_a_whole_folder_is_fine(folder):
    assert worst(check_model_folder(str(folder))).level is Level.OK


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "model-2-of-2.safetensors"], ids=lambda name: name
)
def test_a_file_that_was_not_copied_is_named(folder, name):
    (folder / name).unlink()

    finding = worst(check_model_folder(str(folder)))

    assert finding.level is Level.FAIL
    assert name in finding.message


def test_an_index_that_was_cut_off_is_a_failure(folder):
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {')

    assert worst(check_model_folder(str(folder))).level is Level.FAIL


def test_a_changed_file_is_found_by_its_checksum(folder):
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}"
        for path in sorted(folder.glob("*.safetensors"))
    ]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    before = worst(check_model_folder(str(folder), checksums=True))

    (folder / "model-1-of-2.safetensors").write_bytes(b"changed")
    after = worst(check_model_folder(str(folder), checksums=True))

    assert before.level is Level.OK
    assert after.level is Level.FAIL
    assert "model-1-of-2.safetensors" in after.message


@pytest.mark.parametrize(
    ("model", "level"),
    [
        pytest.param("/no/such/folder", Level.FAIL, id="a path that is not there"),
        pytest.param("Qwen/Qwen3-Reranker-0.6B", Level.OK, id="a name on the hub"),
    ],
)
def test_a_model_that_is_not_a_folder(model, level, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    assert worst(check_model_folder(model)).level is level


def test_a_name_on_the_hub_with_the_hub_off_is_told(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    assert worst(check_model_folder("Qwen/Qwen3-Reranker-0.6B")).level is Level.WARN


def test_an_embedded_model_that_is_not_prepared_says_how_to(tmp_path):
    sections = {"engine": {"kind": "embedded", "embedded": {"cache_dir": str(tmp_path)}}}

    finding = worst(check_engine(Config.model_validate(sections)))

    assert finding.level is Level.WARN
    assert "rankguard model prepare" in finding.fix


def test_a_remote_engine_without_an_address_is_a_failure():
    finding = worst(check_engine(Config.model_validate({"engine": {"kind": "remote"}})))

    assert finding.level is Level.FAIL
