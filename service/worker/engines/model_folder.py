"""A model's files: in a folder, in the hub's cache or on the hub; and what identifies them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.worker.engine import EngineStartError, LoadStep

_DOWNLOADED = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
_SAMPLE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A complete model folder on this machine.

    Attributes:
        path: where the files are.
        name: the hub id, or the folder's name.
        config: content of `config.json`.
        sentence_embedding: the folder has Sentence Transformers' `modules.json`.
        sentence_tokens: `max_seq_length` of `sentence_bert_config.json`, the inputs that the model
            was trained with; fewer than its positions, and vLLM takes no longer ones.
        weights: digest of what identifies the files' content.
    """

    path: Path
    name: str
    config: dict[str, object]
    sentence_embedding: bool
    sentence_tokens: int | None
    weights: str

    def tokenizer_json(self) -> str:
        """Content of `tokenizer.json`.

        Raises:
            EngineStartError: the folder has none; permanent.
        """
        try:
            return (self.path / "tokenizer.json").read_text(encoding="utf-8")
        except OSError as error:
            raise EngineStartError(
                f"{self.path} has no readable tokenizer.json; write one with Transformers: "
                "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)",
                permanent=True,
            ) from error


def open_folder(
    model: str, *, revision: str | None, report: Callable[[LoadStep], None]
) -> ModelFolder:
    """Find the model's files, download them if they are on the hub only.

    Args:
        model: a folder or a hub id.
        revision: of the hub id.
        report: told when files are downloaded.

    Raises:
        EngineStartError: there is no such model here and none can be had; says where to put it.
    """
    given = Path(model).expanduser()
    if given.is_dir():
        return _read(given, given.resolve().name)
    if given.is_absolute() or model.startswith((".", "~")):
        raise EngineStartError(
            f"there is no folder {given}; [engine] model must be a folder with config.json, "
            "tokenizer.json and safetensors files, or a hub id",
            permanent=True,
        )
    return _read(_from_hub(model, revision, report), model)


def _from_hub(model: str, revision: str | None, report: Callable[[LoadStep], None]) -> Path:
    from huggingface_hub import constants, snapshot_download  # noqa: PLC0415 - comes with vLLM
    from huggingface_hub.errors import (  # noqa: PLC0415
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    place = (
        f"put its files in a folder and set [engine] model to it, or put them in the hub cache "
        f"({constants.HF_HUB_CACHE})"
    )

    def snapshot(*, local_only: bool) -> Path:
        return Path(
            snapshot_download(
                model, revision=revision, allow_patterns=_DOWNLOADED, local_files_only=local_only
            )
        )

    try:
        cached = snapshot(local_only=True)
        if _has_all_weights(cached):
            return cached
    except LocalEntryNotFoundError:
        pass
    except HFValidationError as error:
        raise EngineStartError(
            f"{model!r} is neither a folder here nor a hub id; {place}", permanent=True
        ) from error
    if constants.HF_HUB_OFFLINE:
        raise EngineStartError(
            f"{model} is not in the hub cache and HF_HUB_OFFLINE is set; {place}", permanent=True
        )
    report(LoadStep(f"downloading {model}"))
    try:
        return snapshot(local_only=False)
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise EngineStartError(f"the hub has no {model}; {place}", permanent=True) from error
    except Exception as error:  # its network errors have no common base
        raise EngineStartError(
            f"{model} could not be downloaded ({type(error).__name__}); {place}", permanent=False
        ) from error


def _has_all_weights(folder: Path) -> bool:
    """Whether an earlier download ended: with several weights files, an index lists them."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return any(folder.glob("*.safetensors"))
    names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    return all((folder / name).is_file() for name in names)


def _read(path: Path, name: str) -> ModelFolder:
    try:
        raw = (path / "config.json").read_bytes()
        config = json.loads(raw)
    except (OSError, ValueError) as error:
        raise EngineStartError(
            f"{path} has no readable config.json: not a model folder", permanent=True
        ) from error
    if not isinstance(config, dict):
        raise EngineStartError(f"{path / 'config.json'} is not an object", permanent=True)
    files = sorted(path.glob("*.safetensors")) or sorted(path.glob("*.bin"))
    if not files:
        raise EngineStartError(f"{path} has no weights (*.safetensors)", permanent=True)
    return ModelFolder(
        path=path,
        name=name,
        config=config,
        sentence_embedding=(path / "modules.json").is_file(),
        sentence_tokens=_sentence_tokens(path),
        weights=_digest([path / "config.json", path / "tokenizer.json"], files),
    )


def _sentence_tokens(path: Path) -> int | None:
    try:
        told = json.loads((path / "sentence_bert_config.json").read_bytes())["max_seq_length"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return told if isinstance(told, int) and told > 0 else None


def _digest(whole: list[Path], sampled: list[Path]) -> str:
    """Small files whole; of the weights the name, the size and both ends, which takes no time.

    The beginning of a safetensors file is its table of tensors; two trainings of one model differ
    in the last tensors.
    """
    digest = hashlib.sha256()
    for path in whole:
        if path.is_file():
            digest.update(path.read_bytes())
    for path in sampled:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest.update(f"{path.name}:{size}:".encode())
            digest.update(file.read(_SAMPLE_BYTES))
            file.seek(max(0, size - _SAMPLE_BYTES))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()
