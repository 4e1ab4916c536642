"""A bundle in parts: cut, brought, damaged, joined again on a host with Python alone."""

from __future__ import annotations

import ensurepip
import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy.bundle.make import Order, checksums, leave_out, make
from deploy.bundle.parts import NAME, cut, make_parts, size_of
from deploy.bundle.torch import KNOWN, host_torch, write_stand_ins
from deploy.bundle.wheels import BundleError, Target, pip
from deploy.config import Config
from deploy.render.host import Site
from deploy.render.template import fill

MIB = 1 << 20


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "wheels").mkdir(parents=True)
    noise = random.Random(1)
    (folder / "wheels" / "a.whl").write_bytes(noise.randbytes(2 * MIB + 17))
    (folder / "wheels" / "b.whl").write_bytes(noise.randbytes(MIB))
    (folder / "install.sh").write_text("#!/bin/sh\necho installed\n")
    (folder / "install.sh").chmod(0o755)
    return folder


@pytest.fixture
def parts(source, tmp_path):
    folder = tmp_path / "parts"
    cut(source, folder, MIB)
    return folder


def join(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-I", str(folder / "join.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def part(folder, number):
    return folder / f"{NAME}.{number:03}"


def damage(path):
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(bytes(body))


def test_no_part_is_larger_than_asked_and_the_same_files_give_the_same_parts(source, tmp_path):
    first = cut(source, tmp_path / "one", MIB)
    os.utime(source / "install.sh", (1, 1))
    second = cut(source, tmp_path / "two", MIB)

    pieces = [path for path in first if path.name.startswith(NAME)]
    assert len(pieces) == 4
    assert max(path.stat().st_size for path in pieces) == MIB
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_what_was_cut_is_joined_to_what_it_was(parts, source):
    done = join(parts)

    assert done.returncode == 0, done.stderr
    for path in source.rglob("*.whl"):
        assert (parts / "bundle" / path.relative_to(source)).read_bytes() == path.read_bytes()
    assert os.access(parts / "bundle" / "install.sh", os.X_OK)


@pytest.mark.parametrize(
    ("hurt", "words"),
    [
        pytest.param(damage, f"damaged: {NAME}.002 has another checksum", id="a flipped bit"),
        pytest.param(lambda path: path.unlink(), f"missing: {NAME}.002", id="missing"),
        pytest.param(
            lambda path: path.write_bytes(path.read_bytes()[:-1]),
            f"damaged: {NAME}.002 has {MIB - 1} bytes instead of {MIB}",
            id="cut short",
        ),
    ],
)
def test_a_bad_part_is_named_and_nothing_is_unpacked(parts, hurt, words):
    good = part(parts, 2).read_bytes()
    hurt(part(parts, 2))

    done = join(parts)
    part(parts, 2).write_bytes(good)
    again = join(parts)

    assert done.returncode == 2
    assert words in done.stderr
    assert f"{NAME}.001" not in done.stderr
    assert again.returncode == 0


def test_all_bad_parts_are_named_at_once(parts):
    part(parts, 0).unlink()
    damage(part(parts, 3))

    done = join(parts, "--check")

    assert f"missing: {NAME}.000" in done.stderr
    assert f"damaged: {NAME}.003" in done.stderr


def test_an_interrupted_join_goes_on_after_the_last_whole_part(parts):
    whole = b"".join(part(parts, number).read_bytes() for number in range(4))
    (parts / f"{NAME}.partial").write_bytes(whole[: 2 * MIB + 5])

    done = join(parts)

    assert done.returncode == 0
    assert f"joining {NAME}.001" not in done.stderr
    assert f"joining {NAME}.002" in done.stderr
    assert (parts / NAME).read_bytes() == whole


def test_a_wrong_beginning_of_an_earlier_run_is_found_by_the_whole_checksum(parts):
    (parts / f"{NAME}.partial").write_bytes(bytes(MIB))

    first, second = join(parts), join(parts)

    assert (first.returncode, second.returncode) == (2, 0)
    assert "another checksum than when it was cut" in first.stderr


def test_parts_that_were_checked_are_not_read_again(parts):
    join(parts, "--check")
    known = json.loads((parts / ".checked.json").read_text())

    assert sorted(known) == [f"{NAME}.{number:03}" for number in range(4)]
    stat = part(parts, 1).stat()
    damage(part(parts, 1))
    os.utime(part(parts, 1), ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert join(parts, "--check").returncode == 0  # as it says: by size and time
    assert join(parts).returncode == 2  # the whole is hashed all the same


@pytest.mark.parametrize(
    ("text", "size"), [("60M", 60 * MIB), ("1G", 1 << 30), ("2048K", 2 * MIB), ("1048576", MIB)]
)
def test_sizes(text, size):
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "60X", "-1M", "1K", "M"])
def test_a_size_that_is_none_is_refused(text):
    with pytest.raises(BundleError, match="such as 60M"):
        size_of(text)


@pytest.mark.parametrize(
    ("text", "vllm"), [("2.11", "0.25.0"), ("2.11.0+cu130", "0.25.0"), ("2.13.0", "0.32.0")]
)
def test_the_vllm_for_a_torch(text, vllm):
    assert host_torch(text).vllm == vllm


@pytest.mark.parametrize("text", ["2.12", "2.11.1", "1.0", "x"])
def test_an_unknown_torch_is_refused_with_those_that_are_known(text):
    with pytest.raises(BundleError, match=r"known: 2\.11\.0 \(vLLM 0\.25\.0\)"):
        host_torch(text)


def wheel(folder, name, needs):
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    lines = "".join(f"Requires-Dist: {need}\n" for need in needs)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{lines}"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n")
    return path


def test_pip_takes_the_stand_ins_for_torch_and_for_what_comes_with_it(tmp_path):
    torch = KNOWN["2.11"]
    write_stand_ins(tmp_path, torch)
    constraints = tmp_path / "constraints.txt"
    constraints.write_text(torch.constraints())
    asks = wheel(tmp_path, "asks", ["torch==2.11.0", "triton", "nvidia-cuda-nvrtc>=13"])
    out = tmp_path / "out"

    places = ["--no-index", "--find-links", str(tmp_path), "--dest", str(out)]
    pip(["download", *places, "--constraint", str(constraints), str(asks)])

    assert {path.name for path in out.iterdir()} == {
        "asks-1.0-py3-none-any.whl",
        "torch-2.11.0+host-py3-none-any.whl",
        "triton-3.6.0+host-py3-none-any.whl",
        "nvidia_cuda_nvrtc-13.0.88+host-py3-none-any.whl",
    }


def test_packages_are_left_out_by_any_spelling_of_their_name(tmp_path):
    wheel(tmp_path, "flashinfer_cubin", [])
    kept = wheel(tmp_path, "flashinfer_python", [])

    leave_out(tmp_path, ["FlashInfer-Cubin"])

    assert list(tmp_path.iterdir()) == [kept]


def test_a_package_that_is_not_there_cannot_be_left_out(tmp_path):
    with pytest.raises(BundleError, match="--without flashinfer-cubins"):
        leave_out(tmp_path, ["flashinfer-cubins"])


def bundle_for_host_torch(tmp_path):
    """An installer and its wheels, up to the point where packages are in place."""
    folder = tmp_path / "bundle"
    (folder / "wheels").mkdir(parents=True)
    wheel(folder / "wheels", "rankguard", ["torch==2.11.0"])
    own_pip = next((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
    shutil.copy(own_pip, folder / "wheels")
    script = fill(
        "bundle/install.sh",
        python=Target().version,
        prefix=str(tmp_path / "opt"),
        config_file=str(tmp_path / "etc" / "rankguard.toml"),
        extras="vllm",
        model="",
        torch="2.11.0",
        without=False,
    )
    (folder / "install.sh").write_text(script)
    (folder / "rankguard.toml").write_text("")
    (folder / "SHA256SUMS").write_text(checksums(folder))
    return folder


@pytest.mark.parametrize(
    ("version", "words"),
    [
        pytest.param("2.11.0+cu130", "torch 2.11.0 of this host", id="the one"),
        pytest.param("2.10.0", "made for torch 2.11.0", id="another one"),
        pytest.param("", "no torch", id="none"),
    ],
)
@pytest.mark.e2e
def test_the_installer_uses_the_torch_of_the_host_or_says_why_not(tmp_path, version, words):
    folder = bundle_for_host_torch(tmp_path)
    site = tmp_path / "site"
    site.mkdir()
    if version:
        (site / "torch").mkdir()
        (site / "torch" / "__init__.py").write_text(f"__version__ = {version!r}\n")
    python = tmp_path / "python-of-torch"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {sys.executable} "$@"\n')
    python.chmod(0o755)

    done = subprocess.run(
        ["sh", str(folder / "install.sh"), "--no-units"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHON": str(python)},
    )

    assert words in done.stdout + done.stderr
    ours = tmp_path / "opt" / "bin" / "python"
    assert ours.exists() == (version == "2.11.0+cu130")
    if ours.exists():
        said = subprocess.run(
            [str(ours), "-c", "import torch, rankguard; print(torch.__file__)"],
            capture_output=True,
            text=True,
            check=True,
            env={},
        )
        assert said.stdout.strip() == str(site / "torch" / "__init__.py")


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_parts_of_a_bundle_install_on_a_host_without_network(tmp_path):
    folder = tmp_path / "parts"
    make_parts(
        folder, 20 * MIB, lambda place: make(place, Config(), Site(), Order(), lambda _text: None)
    )
    damage(part(folder, 1))
    bad = join(folder)
    damage(part(folder, 1))
    assert bad.returncode == 2
    assert f"damaged: {NAME}.001" in bad.stderr
    assert join(folder).returncode == 0
    without = ["unshare", "--net"] if shutil.which("unshare") and os.geteuid() == 0 else []
    environment = tmp_path / "venv"
    python = environment / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    wheels = [str(path) for path in (folder / "bundle" / "wheels").glob("*.whl")]
    runner = next(path for path in wheels if Path(path).name.startswith("pip-"))

    done = subprocess.run(
        [*without, str(python), f"{runner}/pip", "install", "--no-index", "--no-deps", *wheels],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    said = subprocess.run(
        [*without, str(environment / "bin" / "rankguard"), "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "bundle" in said.stdout
