from __future__ import annotations

import pytest

from deploy.address import local_url, url_of


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        pytest.param("127.0.0.1", "http://127.0.0.1:8000", id="loopback"),
        pytest.param("0.0.0.0", "http://127.0.0.1:8000", id="everywhere"),
        pytest.param("::", "http://127.0.0.1:8000", id="everywhere, both families"),
        pytest.param("localhost", "http://127.0.0.1:8000", id="by name"),
        pytest.param("10.0.0.5", "http://10.0.0.5:8000", id="one outside address and no other"),
        pytest.param("::1", "http://[::1]:8000", id="the other family's loopback"),
    ],
)
def test_from_this_host_a_process_is_reached_where_it_is_bound(host, reached):
    assert local_url(host, 8000) == reached


def test_an_address_of_the_other_family_has_brackets():
    assert url_of("fd00::1", 80) == "http://[fd00::1]:80"
