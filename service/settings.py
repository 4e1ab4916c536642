"""Settings of gateway, worker and engines: sections `[service]` and `[engine]`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_STRICT = ConfigDict(extra="forbid", frozen=True)


def default_state_dir() -> Path:
    """What systemd says in `StateDirectory=`, else a folder in the user's state home (XDG)."""
    given = os.environ.get("STATE_DIRECTORY")
    if given:
        return Path(given.split(":", maxsplit=1)[0])
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "rankguard"


class SearchSettings(BaseModel):
    """Section `[service.search]`: two-stage search over an index of passages."""

    model_config = _STRICT

    enabled: bool = Field(False, description="whether the gateway answers POST /v1/search")
    store: Literal["milvus", "qdrant", "elasticsearch"] = Field(
        "milvus", description="where the vectors are; elasticsearch: OpenSearch too"
    )
    uri: str = Field(
        "",
        description="http(s) address of a server; a folder for Milvus Lite or Qdrant in this "
        "process; empty: a folder in the state directory",
    )
    secret_file: Path | None = Field(
        None,
        description="the server's secret: Milvus token (user:password), Qdrant API key, or the "
        "value of the Authorization header for Elasticsearch",
    )
    index: str = Field(
        "docs", pattern="^[a-z][a-z0-9_]{0,39}$", description="name of the index in the store"
    )
    passage_tokens: int = Field(
        300, ge=32, le=4096, description="estimated tokens in one passage at most"
    )
    max_file_bytes: int = Field(
        10 * 2**20, ge=1024, description="larger files, or lines of JSONL, are not indexed"
    )
    candidates: int = Field(100, ge=1, le=1000, description="passages that the first stage finds")
    recall: Literal["dense", "lexical", "fusion"] = Field(
        "dense", description="first stage: vectors, words (BM25), or both fused"
    )
    rerank: Literal["auto", "always", "never"] = Field(
        "auto", description="second stage; auto: only where it can change the vectors' order"
    )
    embeddings_url: str = Field(
        "",
        description="an OpenAI-compatible server that embeds; empty: this service, whose model "
        "has to be an embedding model then",
    )
    embeddings_model: str = Field("", description="the model's name there; empty: not sent")
    embeddings_key_file: Path | None = Field(None, description="bearer token for it")


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
    max_requests: int = Field(2048, ge=1, description="requests begun and not answered")
    max_buffered_bytes: int = Field(
        128 * 2**20, ge=1024, description="bytes of all request bodies held at once"
    )
    replica_tokens: int = Field(
        65_536, ge=1, description="estimated tokens sent to one replica and not answered"
    )
    hedge: bool = Field(True, description="send a late chunk to a second replica, once")
    cache_bytes: int = Field(
        64 * 2**20, ge=0, description="bytes of the score cache; 0 turns it off"
    )
    log_texts: bool = Field(
        False, description="write the query and the documents' beginnings to the log"
    )
    instructions: dict[str, str] = Field(
        default_factory=dict, description="named instructions: a request asks for one by `@name`"
    )
    key_tokens_per_minute: int = Field(
        0, ge=0, description="estimated tokens that each API key may use; 0: no limit"
    )
    key_limits: dict[str, int] = Field(
        default_factory=dict, description="the same for single keys, by their name"
    )
    search: SearchSettings = SearchSettings()


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
    version: str = Field("1", description="another version is another model: it scores otherwise")


class RemoteSettings(BaseModel):
    """Section `[engine.remote]`: an existing rerank server used as a replica."""

    model_config = _STRICT

    url: str = Field("", description="base URL, such as http://127.0.0.1:8080")
    dialect: Literal["vllm", "tei", "cohere"] = Field("vllm", description="wire format it speaks")
    api_key_file: Path | None = Field(None, description="bearer token for it")
    timeout_s: float = Field(30.0, gt=0)


class EmbeddingSettings(BaseModel):
    """Section `[engine.embedding]`: how the vllm engine asks an embedding model."""

    model_config = _STRICT

    query_prefix: str | None = Field(
        None, description="before the query, may hold {instruction}; default: known for the model"
    )
    document_prefix: str | None = Field(
        None, description="before each document; default: known for the model"
    )
    scale: float = Field(
        31.4, gt=0, description="logit = scale * (cosine - center); the embedded engine has its own"
    )
    center: float = Field(0.833, ge=-1, le=1, description="cosine at which the score is 0.5")


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
    profile: Literal["auto", "qwen3_reranker", "cross_encoder", "embedding"] = Field(
        "auto",
        description="model family, for vllm; auto: from the model folder, unknown is refused",
    )
    long_documents: Literal["fit", "reject", "windows"] = Field(
        "fit",
        description="a document that does not fit: cut it, refuse it, or score its best window",
    )
    self_check: Literal["refuse", "warn"] = Field(
        "refuse",
        description="a model that ranks a known pair wrongly at start: refuse or serve it",
    )
    vllm: dict[str, Any] = Field(default_factory=dict, description="any AsyncEngineArgs")
    embedding: EmbeddingSettings = EmbeddingSettings()
    embedded: EmbeddedSettings = EmbeddedSettings()
    remote: RemoteSettings = RemoteSettings()
    scripted: ScriptedSettings = ScriptedSettings()
