from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.metrics import GATEWAY, Kind

ASK = {"query": "q", "documents": ["a", "bb", "bb"]}


async def scraped(gateway) -> dict[str, float]:
    text = (await gateway.get("/metrics")).text
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize("row", GATEWAY, ids=lambda row: row.name)
def test_every_row_is_named_by_the_rules(row):
    assert row.name.startswith("rankguard_")
    assert row.name.endswith("_total") == (row.kind is Kind.COUNTER)
    assert bool(row.buckets) == (row.kind is Kind.HISTOGRAM)
    assert all(len(values) == len(row.labels) for values in row.series)


async def test_every_series_is_there_at_zero_before_the_first_request(start):
    found = await scraped(await start())
    for row in GATEWAY:
        if row.labels == ("replica",):
            continue
        suffix = "_count" if row.kind is Kind.HISTOGRAM else ""
        for values in row.series or [()]:
            labels = sorted(zip(row.labels, values, strict=True))
            assert found[f"{row.name}{suffix}{labels}"] == 0, row.name


async def test_nothing_is_scraped_that_is_not_in_the_table(gateway):
    await gateway.post(ASK)
    names = {row.name.removesuffix("_total") for row in GATEWAY}
    text = (await gateway.get("/metrics")).text
    families = {family.name for family in text_string_to_metric_families(text)}
    # the process turns these off; here the library's own switch is left as it is
    assert {name for name in families if not name.endswith("_created")} == names


async def test_a_request_is_counted(gateway):
    await gateway.post(ASK)
    found = await scraped(gateway)
    assert found["rankguard_requests_total[('route', '/v1/rerank'), ('status', '200')]"] == 1
    assert found["rankguard_documents_total[]"] == 3
    assert found["rankguard_tokens_total[]"] == 9
    assert found["rankguard_request_duration_seconds_count[('route', '/v1/rerank')]"] == 1
    assert found["rankguard_score_duration_seconds_sum[]"] == 0.002
    assert found["rankguard_cache_misses_total[]"] == 2
    assert found["rankguard_relevance_count[]"] == 3
    assert found["rankguard_relevance_bucket[('le', '+Inf')]"] == 3
    assert found["rankguard_replica_in_rotation[('replica', 'replica-0')]"] == 1
    assert found["rankguard_replica_outstanding_tokens[('replica', 'replica-0')]"] == 0
    assert found["rankguard_requests_in_flight[]"] == 0
    assert found["rankguard_ready[]"] == 1


async def test_an_unknown_path_makes_no_series(gateway):
    before = set(await scraped(gateway))
    await gateway.get("/never/heard/of")
    assert set(await scraped(gateway)) == before
