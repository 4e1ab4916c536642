"""Installing a version and going back from it: whole files, and twice is harmless."""

from __future__ import annotations

import pytest

from monitor.versions import NOTHING, VersionError, Versions


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "upgrade" / "v2"
    folder.mkdir(parents=True)
    (folder / "engine.toml").write_text("new")
    return tmp_path


def test_what_was_there_comes_back(state):
    (state / "engine.toml").write_text("old")
    versions = Versions(state)

    versions.install("v2")
    assert (state / "engine.toml").read_text() == "new"
    versions.install("v2")  # after a crash in between
    versions.go_back("v2")
    versions.go_back("v2")

    assert (state / "engine.toml").read_text() == "old"


def test_where_nothing_was_nothing_comes_back(state):
    versions = Versions(state)
    versions.install("v2")
    versions.go_back("v2")

    assert (state / "engine.toml").read_text() == NOTHING


@pytest.mark.parametrize("name", ["v3", "../v2", "", "v2/../v2"])
def test_what_is_no_version_is_not_installed(state, name):
    with pytest.raises(VersionError):
        Versions(state).install(name)
    assert not (state / "engine.toml").exists()


def test_there_is_no_way_back_from_what_was_never_installed(state):
    with pytest.raises(VersionError):
        Versions(state).go_back("v2")


def test_a_state_directory_that_cannot_be_written_is_an_error_with_its_reason(state):
    (state / "engine.toml").mkdir()  # stands in for a full or read-only disk

    with pytest.raises(VersionError, match="cannot install v2"):
        Versions(state).install("v2")
