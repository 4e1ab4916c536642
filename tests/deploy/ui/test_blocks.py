from __future__ import annotations

import pytest

pytest.importorskip("gradio", reason="the extra ui is not installed")

from deploy.ui.blocks import names_web


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        pytest.param([{"path": "http://a/b.txt"}], True, id="a page of the web"),
        pytest.param([{"path": "HTTPS://a/b.txt"}], True, id="in capitals"),
        pytest.param([[{"x": [{"path": "ftp://a"}]}]], True, id="deep inside"),
        pytest.param([{"path": "/tmp/a.txt"}], False, id="a file"),
        pytest.param(["see http://a.example/", None, 3, True], False, id="an address in a text"),
        pytest.param([{"text": "http://a.example/"}], False, id="an address elsewhere"),
    ],
)
def test_a_file_that_is_an_address_is_seen(value, wanted):
    assert names_web(value) is wanted
