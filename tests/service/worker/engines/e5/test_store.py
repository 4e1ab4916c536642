"""The model cache, with the real wheels' content: fetched once into the default cache."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from service.settings import EmbeddedSettings
from service.worker.engine import EngineStartError, LoadStep
from service.worker.engines.e5 import source, store, vocabulary
from service.worker.engines.e5.place import FORMAT, cache_root, model_folder
from service.worker.engines.e5.vocabulary import Vocabulary


@pytest.fixture(scope="session")
def wheels(tmp_path_factory) -> Path:
    """Two wheels made of the cached sources: what a host without network is given."""
    sources = store.prepare_sources(EmbeddedSettings(), lambda _: None)
    folder = tmp_path_factory.mktemp("wheels")
    for wheel in source.WHEELS:
        with zipfile.ZipFile(folder / wheel.filename, "w") as archive:
            archive.write(sources / wheel.target, wheel.member)
    return folder


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, wheels) -> Path:
    """A cache that two processes were asked to make at the same time."""
    cache = tmp_path_factory.mktemp("cache")
    code = (
        "import sys; from pathlib import Path; from service.settings import EmbeddedSettings;"
        "from service.worker.engines.e5.store import prepare;"
        "print(prepare(EmbeddedSettings(cache_dir=Path(sys.argv[1]), wheels_dir=Path(sys.argv[2])),"
        " lambda step: print(step.phase)))"
    )
    command = [sys.executable, "-c", code, str(cache), str(wheels)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=100)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert sum("converting" in output for output in outputs) == 1
    return cache


def test_of_two_processes_one_makes_the_model_and_both_have_it(prepared):
    folder = model_folder(EmbeddedSettings(cache_dir=prepared))
    assert store.verify(folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == [
        ".lock",
        FORMAT,
        "source",
    ]


def test_a_second_call_does_nothing(prepared):
    steps: list[LoadStep] = []
    store.prepare(EmbeddedSettings(cache_dir=prepared), steps.append)
    assert steps == []


def test_a_damaged_model_is_found_removed_and_made_again_without_the_wheels(prepared, tmp_path):
    shutil.copytree(prepared, tmp_path / "copy", symlinks=True)
    settings = EmbeddedSettings(cache_dir=tmp_path / "copy")
    folder = store.prepare(settings, lambda _: None)
    with (folder / "model.data").open("r+b") as file:
        file.seek(1000)
        file.write(b"\xff\xff\xff\xff")
    with pytest.raises(EngineStartError) as failed:
        store.verify(folder)
    assert not failed.value.permanent
    assert store.verify(store.prepare(settings, lambda _: None))


def test_a_cache_that_cannot_be_written_says_where(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(EngineStartError, match="file") as failed:
        store.prepare(EmbeddedSettings(cache_dir=tmp_path / "file"), lambda _: None)
    assert not failed.value.permanent


def test_special_tokens_are_plain_text_and_everything_else_is_as_in_the_original(prepared):
    from tokenizers import Tokenizer

    root = cache_root(EmbeddedSettings(cache_dir=prepared))
    original = Tokenizer.from_file(str(root / "source" / source.TOKENIZER_FILE))
    words = Vocabulary(root / FORMAT / vocabulary.FILE)
    texts = ["Hello  world", "自行车轮胎", " leading", "مرحبا بالعالم", "ﬁ ½ ①", "नमस्ते"]
    for text, ours in zip(texts, words.passages(texts, None), strict=True):
        assert ours.windows[0].tolist() == original.encode(f"passage: {text}").ids
        assert words.query(text).windows[0].tolist() == original.encode(f"query: {text}").ids
    [marked] = words.passages(["<s> </s> <mask> <pad> <unk>"], None)
    body = marked.windows[0].tolist()[1:-1]
    assert not set(body) & {0, 1, 2, 250_001}
    assert len(body) > 10


def test_the_prefix_and_the_body_of_a_window_never_exceed_the_model(prepared):
    root = cache_root(EmbeddedSettings(cache_dir=prepared))
    words = Vocabulary(root / FORMAT / vocabulary.FILE)
    [long] = words.passages(["word " * 3000], None)
    assert {len(window) for window in long.windows} == {vocabulary.WINDOW}
    assert len(long.spans) == len(long.windows)


def test_the_manifest_names_every_file(prepared):
    folder = model_folder(EmbeddedSettings(cache_dir=prepared))
    named = json.loads((folder / "manifest.json").read_text())["sha256"]
    assert {path.name for path in folder.iterdir()} == {*named, "manifest.json"}
