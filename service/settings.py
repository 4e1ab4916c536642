"""Settings of gateway, worker and engines: sections `[service]` and `[engine]`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_STRICT = ConfigDict(extra="forbid", frozen=True)


def default_state_dir() -> Path:
    """What systemd says in `StateDirectory=` when there is one, else below the user's state home (XDG)."""
    given = os.environ.get("STATE_DIRECTORY")
    if given:
        return Path(given.split(":", maxsplit=1)[0])
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "rankguard"


class ServiceSettings(BaseModel):
    """Section `[service]`: the gateway and its limits."""

    model_config = _STRICT

    host: str = Field("127.0.0.1", description="address that the gateway binds")
    port: int = Field(8000, ge=0, le=65535, description="port that the gateway binds")
    state_dir: Path = Field(
        default_factory=default_state_dir,
        description="where the processes meet: manifests, journal, incidents, logs",
    )
    api_keys_file: Path | None = Field(
        None, description="one `name:sha256-hex` a line; needed for a bind beyond loopback"
    )
    request_timeout_s: float = Field(
        30.0, gt=0, le=3600, description="deadline of a request, waiting included"
    )
    max_documents: int = Field(1000, ge=1, description="documents in one request")
    max_body_bytes: int = Field(16 * 2**20, ge=1024, description="bytes of one request body")
    body_timeout_s: float = Field(
        10.0, gt=0, description="how long a client may take to send its body"
    )
    max_waiting_tokens: int = Field(
        4_000_000, ge=1, description="estimated tokens admitted and not answered, all requests"
    )
    chunk_tokens: int = Field(
        8192, ge=1, description="estimated tokens in one chunk sent to one replica"
    )
    drain_timeout_s: float = Field(
        30.0, ge=0, description="how long in-flight requests may take to finish at shutdown"
    )


class EmbeddedSettings(BaseModel):
    """Section `[engine.embedded]`: the CPU engine that needs no GPU and no model hub."""

    model_config = _STRICT

    cache_dir: Path | None = Field(
        None, description="model cache; default $XDG_CACHE_HOME/rankguard/models"
    )
    wheels_dir: Path | None = Field(
        None, description="folder with the two model wheels, for a host without network"
    )
    threads: int = Field(0, ge=0, description="threads that score; 0: one per usable core")


class ScriptedSettings(BaseModel):
    """Section `[engine.scripted]`: an engine that fails on demand; for tests and `chaos`."""

    model_config = _STRICT

    load_s: float = Field(0.0, ge=0, description="how long loading takes")
    document_s: float = Field(0.0, ge=0, description="how long one document takes")
    script: Path | None = Field(
        None, description="JSON file re-read at every job: {fault: none|hang|slow|wrong|nan|error}"
    )
    start_error: str = Field("", description="fail to start with this message")


class RemoteSettings(BaseModel):
    """Section `[engine.remote]`: an existing rerank server used as a replica."""

    model_config = _STRICT

    url: str = Field("", description="base URL, such as http://127.0.0.1:8080")
    dialect: Literal["vllm", "tei", "cohere"] = Field("vllm", description="wire format it speaks")
    api_key_file: Path | None = Field(None, description="bearer token for it")
    timeout_s: float = Field(30.0, gt=0)


class EngineSettings(BaseModel):
    """Section `[engine]`: which engine a worker runs, and on which model."""

    model_config = _STRICT

    kind: Literal["auto", "vllm", "embedded", "remote", "scripted"] = Field(
        "auto", description="auto: vllm with a usable GPU, else embedded"
    )
    model: str = Field("Qwen/Qwen3-Reranker-0.6B", description="hub id or folder, for vllm")
    served_name: str = Field("", description="name that clients see; default the model's own")
    instruction: str = Field(
        "", description="default instruction; empty: the one that the model was trained with"
    )
    max_model_len: int = Field(8192, ge=64, description="longest input in tokens, prompt included")
    vllm: dict[str, Any] = Field(default_factory=dict, description="any AsyncEngineArgs")
    embedded: EmbeddedSettings = EmbeddedSettings()
    remote: RemoteSettings = RemoteSettings()
    scripted: ScriptedSettings = ScriptedSettings()
