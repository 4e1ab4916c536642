from __future__ import annotations

import ast
import types
from pathlib import Path

import pytest

from service.worker.engines import vllm_core
from service.worker.engines.vllm_interface import USES, Use, missing, unsupported


class Engine:
    errored = False

    def abort(self, request_id, internal=False): ...

    def anything(self, **options): ...


MODULES = {"vllm.engine": types.SimpleNamespace(Engine=Engine)}


def load(name):
    try:
        return MODULES[name]
    except KeyError:
        raise ImportError(name) from None


@pytest.mark.parametrize(
    ("use", "found"),
    [
        pytest.param(Use("vllm.engine", "Engine.abort", ("request_id", "internal")), "", id="same"),
        pytest.param(Use("vllm.engine", "Engine.errored"), "", id="an attribute"),
        pytest.param(Use("vllm.engine", "Engine.anything", ("x",)), "", id="takes any name"),
        pytest.param(
            Use("vllm.core", "Engine"), "vllm.core.Engine is not there", id="a module moved"
        ),
        pytest.param(
            Use("vllm.engine", "Engine.stop"), "vllm.engine.Engine.stop is not there", id="renamed"
        ),
        pytest.param(
            Use("vllm.engine", "Engine.abort", ("request_id", "why")),
            "vllm.engine.Engine.abort takes no why",
            id="a parameter is gone",
        ),
    ],
)
def test_what_the_installed_version_lacks_is_named(use, found):
    assert missing([use], load) == found


def test_the_line_says_what_to_install():
    assert unsupported("0.99", "vllm.LLM is not there") == (
        "vLLM 0.99 is not supported: vllm.LLM is not there; install one of 0.25 to 0.33"
    )


def test_every_import_of_the_adapter_is_in_the_table():
    """A new use that nobody lists would fail at the first request, and not at the start."""
    tree = ast.parse(Path(vllm_core.__file__).read_text(encoding="utf-8"))
    imported = {
        (node.module, name.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "vllm"
        for name in node.names
    }
    listed = {(use.module, use.path.split(".")[0]) for use in USES}

    assert len(imported) > 5
    assert imported <= listed
