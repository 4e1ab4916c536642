from __future__ import annotations

import subprocess
import sys

import pytest

from deploy.render.artefact import Artefact, write
from deploy.render.kind import Kind
from tests.deploy.render.golden import GOLDEN, rendered


@pytest.mark.parametrize("kind", list(Kind))
def test_rendered_files_are_word_for_word_what_was_looked_at(kind):
    folder = GOLDEN / kind.value
    expected = {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }

    assert rendered(kind) == expected, "look at it: python -m tests.deploy.render.golden"


def test_rendering_the_same_twice_gives_the_same():
    assert all(rendered(kind) == rendered(kind) for kind in Kind)


def test_a_file_outside_the_directory_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="outside"):
        write([Artefact("../escape", "")], tmp_path / "out")

    assert not (tmp_path / "escape").exists()


def test_the_command_writes_a_folder_for_each_of_several_kinds(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "deploy", "render", "systemd", "grafana", "-o", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "systemd" / "rankguard-gateway.service").is_file()
    assert (tmp_path / "grafana" / "dashboards" / "rankguard-fleet.json").is_file()
    script = tmp_path / "systemd" / "install.sh"
    assert script.stat().st_mode & 0o111


def test_a_host_that_others_cannot_reach_is_told(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "deploy", "render", "prometheus"),
            *("-o", str(tmp_path), "--host", "gpu-1"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "[service] host is 127.0.0.1: other hosts cannot reach it" in done.stderr
